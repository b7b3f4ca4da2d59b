# exeat: decides what may leave a Linux workload, and proves it.
#
#   make            build build/exeat            make demo     run the main job (root)
#   make check      all tests (root)             make lint     format, analysis, budgets
#   make fuzz       fuzzers, long                make bench    side-by-side benchmark (root)
#   make soak       everything at once, long     (TIME=seconds for fuzz and soak)
#   make install    PREFIX=/usr/local DESTDIR=   make deb      a Debian package, in build/
#   make clean      remove build/
#   make deps       install what the build and the tests need (Debian 12, root)
#
# Knobs: O=build directory, V=1 verbose, SAN=asan (address + undefined behaviour sanitizers).

O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CNIDIR  ?= $(PREFIX)/lib/cni
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
CC      ?= gcc
CXX     ?= g++
CLANG   ?= clang
BPFTOOL ?= /usr/sbin/bpftool
V       ?= 0
VERSION := 0.1.0

ifeq ($(V),1)
Q :=
msg :=
else
Q := @
msg = @printf '  %-8s %s\n' $(1) $(2);
endif

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

ARCH_INC := /usr/include/$(shell uname -m)-linux-gnu
WARN := -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings \
	-Wimplicit-fallthrough -Wlogical-op -Wduplicated-cond
ifneq ($(findstring clang,$(CC)),)
WARN := $(filter-out -Wlogical-op -Wduplicated-cond,$(WARN))
C_ONLY := -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
CWARN := $(WARN) -Wstrict-prototypes -Wmissing-prototypes
HARDEN := -fno-common -fno-strict-aliasing -ftrivial-auto-var-init=zero -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection=full -fPIE
OPT ?= -O2 -g
ifneq ($(filter-out asan,$(SAN)),)
$(error SAN=$(SAN): there is SAN=asan, address and undefined behaviour)
endif
ifeq ($(SAN),asan)
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
DEFS := -D_GNU_SOURCE -DEX_VERSION='"$(VERSION)"'
INC  := -I. -Iinclude -isystem $(O)/datapath -isystem /usr/share/include/llhttp
CFLAGS   += -std=gnu17 $(OPT) $(CWARN) $(HARDEN) $(C_ONLY) $(DEFS) $(INC) -MMD -MP
CXXFLAGS += -std=c++17 $(OPT) $(WARN) $(HARDEN) $(INC) -MMD -MP -fno-exceptions
LDFLAGS  += $(OPT) -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
LIBS := -lbpf -lxdp -lyaml -lre2 -lcares -lnghttp2 -lssl -lcrypto -lseccomp -lcap -ljansson -lstdc++

BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -std=gnu17 -Wall -Wextra -Wno-unused-parameter -Werror \
	-D__TARGET_ARCH_$(patsubst x86_64,x86,$(shell uname -m)) -Iinclude -I$(ARCH_INC)

# ---- sources: every .c in a room belongs to the room ----
POLICY_OBJ := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard policy/*.c))) \
	      $(patsubst %.cc,$(O)/%.o,$(sort $(wildcard policy/*.cc)))
AGENT_OBJ  := $(patsubst %.c,$(O)/%.o,$(filter-out agent/main.c agent/cni/main.c,$(sort $(wildcard agent/*.c agent/*/*.c))))
LLHTTP_OBJ := $(patsubst %,$(O)/third_party/%.o,llhttp api http)
BPF_SKEL   := $(patsubst datapath/%.bpf.c,$(O)/datapath/%.skel.h,$(sort $(wildcard datapath/*.bpf.c)))
UNIT_BIN     := $(patsubst tests/%.c,$(O)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
DATAPATH_BIN := $(patsubst tests/%.c,$(O)/tests/%,$(sort $(wildcard tests/datapath/test_*.c)))
DATAPATH_AUX := $(patsubst %.c,$(O)/%.o,$(filter-out $(wildcard tests/datapath/test_*.c),$(sort $(wildcard tests/datapath/*.c))))
BENCH_BIN    := $(addprefix $(O)/bench/,bench_policy bench_gate bench_forward load relay)
FUZZ_BIN     := $(patsubst tests/%.c,$(O)/tests/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all help deps demo check check-unit check-datapath check-e2e check-fuzz check-kernels check-san lint format \
	fuzz soak bench install deb clean unit-bins datapath-bins fuzz-bins bench-bins
all: $(O)/exeat $(O)/exeat-cni

help:
	@sed -n 's/^#  *\(make.*\)/\1/p' Makefile

deps:
	@.ci/setup

# ---- kernel gate ----
$(O)/datapath/%.bpf.o: datapath/%.bpf.c $(wildcard datapath/*.h include/exeat/*.h)
	@mkdir -p $(@D)
	$(call msg,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(O)/datapath/%.skel.h: $(O)/datapath/%.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@

# ---- user space ----
$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call msg,CC,$<)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

$(O)/%.o: %.cc
	@mkdir -p $(@D)
	$(call msg,CXX,$<)
	$(Q)$(CXX) $(CXXFLAGS) -c $< -o $@

# third party: without our warnings
$(O)/third_party/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(call msg,CC,$<)
	$(Q)$(CC) $(OPT) $(HARDEN) $(C_ONLY) -w -I/usr/share/include/llhttp -c $< -o $@

$(AGENT_OBJ) $(O)/agent/main.o: | $(BPF_SKEL)
# -MMD leaves out what comes in with -isystem
$(filter $(O)/agent/gate/%,$(AGENT_OBJ)): $(BPF_SKEL)

$(O)/policy/preset.o $(O)/fuzz/policy/preset.o: $(wildcard policy/presets/*.yaml)

$(O)/libpolicy.a: $(POLICY_OBJ)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libagent.a: $(AGENT_OBJ) $(LLHTTP_OBJ)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/exeat: $(O)/agent/main.o $(O)/libagent.a $(O)/libpolicy.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# A CNI plugin is copied to hosts that have none of our libraries: all in one.
ifeq ($(SAN),asan)
CNI_LDFLAGS := $(LDFLAGS)
else
CNI_LDFLAGS := $(filter-out -pie,$(LDFLAGS)) -static-pie
endif
$(O)/exeat-cni: $(O)/agent/cni/main.o $(O)/libagent.a $(O)/libpolicy.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CNI_LDFLAGS) -o $@ $^ -ljansson

# ---- tests: only what a test uses of the archives is linked ----
$(O)/tests/unit/%: $(O)/tests/unit/%.o $(O)/libpolicy.a $(O)/libagent.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(O)/libagent.a $(O)/libpolicy.a -lcmocka $(LIBS)

$(patsubst %.c,$(O)/%.o,$(wildcard tests/datapath/*.c)): $(BPF_SKEL)
$(O)/tests/datapath/test_%: $(O)/tests/datapath/test_%.o $(DATAPATH_AUX) $(O)/libpolicy.a $(O)/libagent.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(DATAPATH_AUX) $(O)/libagent.a $(O)/libpolicy.a -lcmocka $(LIBS)

unit-bins: $(UNIT_BIN)
datapath-bins: $(DATAPATH_BIN)
fuzz-bins: $(FUZZ_BIN)
bench-bins: $(BENCH_BIN)
export O

check-unit: unit-bins
	@tests/run unit $(UNIT_BIN)
check-datapath: datapath-bins
	@tests/run datapath $(DATAPATH_BIN)
check-kernels: $(DATAPATH_BIN)
	@tests/kernels/run
check-e2e: $(O)/exeat
	@tests/run e2e
check-fuzz:
	@tests/run fuzz $(or $(FUZZ_SECONDS),10)
check-san:
	@tests/run san
check:
	@.ci/setup
	@$(MAKE) --no-print-directory $(O)/exeat
	@tests/run all
fuzz:
	@tests/run fuzz $(or $(TIME),$(FUZZ_SECONDS),600)
soak: $(O)/exeat
	@SOAK_SECONDS=$(or $(TIME),1800) TEST_TIMEOUT=$$(($(or $(TIME),1800) + 240)) tests/run e2e tests/e2e/test-soak.sh

# ---- fuzzing: the same sources through clang, with libFuzzer and the sanitizers ----
FUZZ_FLAGS := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_LIB   := $(patsubst $(O)/%,$(O)/fuzz/%,$(POLICY_OBJ) $(AGENT_OBJ))

$(O)/fuzz/%.o: %.c | $(BPF_SKEL)
	@mkdir -p $(@D)
	$(call msg,FUZZCC,$<)
	$(Q)$(CLANG) -std=gnu17 -w $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(DEFS) $(INC) -MMD -MP -c $< -o $@
$(O)/fuzz/%.o: %.cc
	@mkdir -p $(@D)
	$(call msg,FUZZCXX,$<)
	$(Q)$(CLANG)++ -std=c++17 -w $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(INC) -MMD -MP -c $< -o $@
$(O)/fuzz/third_party/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -w -I/usr/share/include/llhttp -c $< -o $@
$(O)/fuzz/lib.a: $(FUZZ_LIB) $(patsubst $(O)/%,$(O)/fuzz/%,$(LLHTTP_OBJ))
	$(Q)rm -f $@ && ar rcs $@ $^
$(O)/tests/fuzz/%: $(O)/fuzz/tests/fuzz/%.o $(O)/fuzz/lib.a
	@mkdir -p $(@D)
	$(call msg,LD,$@)
	$(Q)$(CLANG)++ $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS) -lm

# ---- around the code ----
lint:
	@.ci/lint
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
demo:
	@.ci/setup
	@$(MAKE) --no-print-directory $(O)/exeat
	@tests/e2e/demo.sh
bench: $(O)/exeat $(BENCH_BIN)
	@$(O)/bench/bench_policy
	@bench/run.sh $(BENCH)
	@bench/peers.sh $(BENCH)
	@$(O)/bench/bench_gate
	@$(O)/bench/bench_forward $(if $(findstring --short,$(BENCH)),3 200)

$(O)/bench/bench_gate $(O)/bench/bench_forward: $(O)/bench/%: $(O)/bench/%.o $(O)/tests/datapath/pkt.o $(O)/tests/datapath/netns.o \
		$(O)/libagent.a $(O)/libpolicy.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$(O)/bench/bench_policy: $(O)/bench/bench_policy.o $(O)/libpolicy.a $(O)/libagent.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(O)/bench/load: $(O)/bench/target.o
$(O)/bench/load $(O)/bench/relay: $(O)/bench/%: $(O)/bench/%.o
	$(call msg,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto
install: $(O)/exeat $(O)/exeat-cni
	install -D -m 755 $(O)/exeat $(DESTDIR)$(PREFIX)/sbin/exeat
	install -d $(DESTDIR)$(PREFIX)/bin # where users look: policy tools need no root
	ln -sf ../sbin/exeat $(DESTDIR)$(PREFIX)/bin/exeat
	install -D -m 755 $(O)/exeat-cni $(DESTDIR)$(CNIDIR)/exeat-cni
	for f in docs/man/*.[58]; do \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${f##*.} $$f; done
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(PREFIX)/sbin|; s|@CNIDIR@|$(CNIDIR)|' examples/systemd/exeat-agent.service \
		>$(DESTDIR)$(UNITDIR)/exeat-agent.service
	install -D -m 644 examples/systemd/exeat-sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/exeat.conf
	install -d $(DESTDIR)$(SYSCONFDIR)/exeat/policies
	[ -e $(DESTDIR)$(SYSCONFDIR)/exeat/agent.yaml ] || \
		install -m 644 examples/systemd/agent.yaml $(DESTDIR)$(SYSCONFDIR)/exeat/agent.yaml

deb: $(O)/exeat $(O)/exeat-cni
	@O=$(O) VERSION=$(VERSION) .ci/package/deb

# for editors and clang-tidy
compile_commands.json: Makefile
	@{ sep='['; for f in $(wildcard policy/*.c agent/*.c agent/*/*.c tests/unit/*.c); do \
		printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$sep" "$(CURDIR)" $$f \
			"$(CLANG) -std=gnu17 $(subst ",\\\",$(subst \,,$(DEFS))) $(INC) -c $$f"; \
		sep=','; done; echo; echo ']'; } >$@

clean:
	rm -rf $(O)

-include $(shell find $(O) -type f -name '*.d' 2>/dev/null)
