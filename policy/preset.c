/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/preset.h"

/* The files as they are, by the assembler: no generated source to keep in step. */
#define EMBED(id, path)                                                                            \
	__asm__(".pushsection .rodata\n"                                                           \
		"preset_" #id ":\n"                                                                \
		".incbin \"policy/presets/" path "\"\n"                                            \
		"preset_" #id "_end:\n"                                                            \
		".byte 0\n"                                                                        \
		".popsection\n");                                                                  \
	extern const char preset_##id[] __attribute__((visibility("hidden")));                     \
	extern const char preset_##id##_end[] __attribute__((visibility("hidden")))

EMBED(metadata, "metadata.yaml");
EMBED(private, "private.yaml");
EMBED(node, "node.yaml");
EMBED(kube, "kube.yaml");
EMBED(llm_openai, "llm-openai.yaml");
EMBED(llm_openai_responses_only, "llm-openai-responses-only.yaml");
EMBED(llm_openai_uploads, "llm-openai-uploads.yaml");
EMBED(llm_anthropic, "llm-anthropic.yaml");
EMBED(llm_anthropic_uploads, "llm-anthropic-uploads.yaml");
EMBED(llm_azure_openai, "llm-azure-openai.yaml");
EMBED(llm_bedrock, "llm-bedrock.yaml");
EMBED(llm_gemini, "llm-gemini.yaml");
EMBED(llm_gemini_uploads, "llm-gemini-uploads.yaml");
EMBED(llm_vertex, "llm-vertex.yaml");
EMBED(llm_mistral, "llm-mistral.yaml");
EMBED(llm_mistral_uploads, "llm-mistral-uploads.yaml");
EMBED(llm_groq, "llm-groq.yaml");
EMBED(llm_groq_uploads, "llm-groq-uploads.yaml");
EMBED(llm_openrouter, "llm-openrouter.yaml");
EMBED(llm_ollama_readonly, "llm-ollama-readonly.yaml");
EMBED(llm_vllm, "llm-vllm.yaml");
EMBED(registry_npm, "registry-npm.yaml");
EMBED(registry_pypi, "registry-pypi.yaml");
EMBED(registry_crates, "registry-crates.yaml");
EMBED(registry_golang, "registry-golang.yaml");
EMBED(github_readonly, "github-readonly.yaml");

/* Sizes are differences of addresses, which no constant initialiser may hold. */
#define PRESETS(X)                                                                                 \
	X("metadata", metadata)                                                                    \
	X("private", private)                                                                      \
	X("node", node)                                                                            \
	X("kube", kube)                                                                            \
	X("llm:openai", llm_openai)                                                                \
	X("llm:openai-responses-only", llm_openai_responses_only)                                  \
	X("llm:openai-uploads", llm_openai_uploads)                                                \
	X("llm:anthropic", llm_anthropic)                                                          \
	X("llm:anthropic-uploads", llm_anthropic_uploads)                                          \
	X("llm:azure-openai", llm_azure_openai)                                                    \
	X("llm:bedrock", llm_bedrock)                                                              \
	X("llm:gemini", llm_gemini)                                                                \
	X("llm:gemini-uploads", llm_gemini_uploads)                                                \
	X("llm:vertex", llm_vertex)                                                                \
	X("llm:mistral", llm_mistral)                                                              \
	X("llm:mistral-uploads", llm_mistral_uploads)                                              \
	X("llm:groq", llm_groq)                                                                    \
	X("llm:groq-uploads", llm_groq_uploads)                                                    \
	X("llm:openrouter", llm_openrouter)                                                        \
	X("llm:ollama-readonly", llm_ollama_readonly)                                              \
	X("llm:vllm", llm_vllm)                                                                    \
	X("registry:npm", registry_npm)                                                            \
	X("registry:pypi", registry_pypi)                                                          \
	X("registry:crates", registry_crates)                                                      \
	X("registry:golang", registry_golang)                                                      \
	X("github:readonly", github_readonly)

static const struct {
	const char *name, *file, *text, *end;
} table[] = {
#define X(preset, id) { preset, "preset:" preset, preset_##id, preset_##id##_end },
	PRESETS(X)
#undef X
};

size_t ex_preset_count(void)
{
	return EX_ARRAY_SIZE(table);
}

struct ex_preset ex_preset_at(size_t i)
{
	return (struct ex_preset){ table[i].name, table[i].file, table[i].text,
				   (size_t)(table[i].end - table[i].text) };
}

bool ex_preset_find(const char *name, struct ex_preset *ret)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].name, name) == 0) {
			*ret = ex_preset_at(i);
			return true;
		}
	}
	return false;
}
