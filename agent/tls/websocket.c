/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/websocket.h"

#include <errno.h>
#include <openssl/evp.h>

#include "agent/tls/hmac.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

int ex_ws_key(char key[static EX_WS_KEY_LEN + 1])
{
	uint8_t nonce[16];

	if (ex_random(nonce, sizeof(nonce)) < 0)
		return -EIO;
	EVP_EncodeBlock((unsigned char *)key, nonce, sizeof(nonce));
	return 0;
}

int ex_ws_accept(const char key[static EX_WS_KEY_LEN + 1], char accept[static EX_WS_ACCEPT_LEN + 1])
{
	char text[EX_WS_KEY_LEN + sizeof(GUID)];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;

	memcpy(text, key, EX_WS_KEY_LEN);
	memcpy(text + EX_WS_KEY_LEN, GUID, sizeof(GUID));
	if (EVP_Digest(text, sizeof(text) - 1, digest, &len, EVP_sha1(), NULL) != 1 || len != 20)
		return -EIO;
	EVP_EncodeBlock((unsigned char *)accept, digest, (int)len);
	return 0;
}
