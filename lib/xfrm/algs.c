#include <errno.h>
#include <stdio.h>

#include "xfrm/attrs.h"
#include "xfrm/fields.h"

/* Linux's names. Of the rows of one name the length of the key, or of the truncated tag, picks one.
 */
static const struct name_row {
	const char *name, *alias;
	uint8_t ids[3];	      /* enum alg_id */
	uint16_t icv_default; /* bits; of ALG_AUTH, which names none */
} aeads[] = {
	{ "rfc4106(gcm(aes))", "", { ALG_AES_GCM_128, ALG_AES_GCM_192, ALG_AES_GCM_256 }, 0 },
	{ "rfc4309(ccm(aes))", "", { ALG_AES_CCM_128, ALG_AES_CCM_192, ALG_AES_CCM_256 }, 0 },
	{ "rfc4543(gcm(aes))", "", { ALG_AES_GMAC_128, ALG_AES_GMAC_192, ALG_AES_GMAC_256 }, 0 },
	{ "rfc7539esp(chacha20,poly1305)", "", { ALG_CHACHA20_POLY1305 }, 0 },
}, ciphers[] = {
	{ "cbc(aes)", "aes", { ALG_AES_CBC_128, ALG_AES_CBC_192, ALG_AES_CBC_256 }, 0 },
	{ "rfc3686(ctr(aes))", "", { ALG_AES_CTR_128, ALG_AES_CTR_192, ALG_AES_CTR_256 }, 0 },
	{ "ecb(cipher_null)", "cipher_null", { ALG_NULL }, 0 },
}, auths[] = {
	{ "hmac(sha1)", "sha1", { ALG_HMAC_SHA1_96 }, 96 },
	/* Linux kept the truncation of a draft for those who do not say 128. */
	{ "hmac(sha256)", "sha256", { ALG_HMAC_SHA256_128 }, 96 },
	{ "hmac(sha384)", "sha384", { ALG_HMAC_SHA384_192 }, 192 },
	{ "hmac(sha512)", "sha512", { ALG_HMAC_SHA512_256 }, 256 },
	{ "xcbc(aes)", "", { ALG_AES_XCBC_96 }, 96 },
	{ "cmac(aes)", "", { ALG_AES_CMAC_96 }, 96 },
};

/* An algorithm's attribute, its lengths checked. */
struct alg_in {
	const struct attr *attr;
	char name[XFRM_ALG_NAME_SIZE]; /* printable */
	uint32_t key_len;	       /* octets */
	uint32_t icv_bits;
	const uint8_t *key;
};

static const struct name_row *
row_named(const struct name_row *rows, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].name, name) == 0 ||
		    (rows[i].alias[0] != 0 && strcmp(rows[i].alias, name) == 0))
			return &rows[i];
	return NULL;
}

static const char *
name_of(const struct name_row *rows, size_t n, uint8_t id)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < RTE_DIM(rows[i].ids); j++)
			if (rows[i].ids[j] == id)
				return rows[i].name;
	return "";
}

const char *
xfrm_cipher_name(const struct suite *s)
{
	if (s->cipher == ALG_NONE)
		return "";
	return s->aead ? name_of(aeads, RTE_DIM(aeads), s->cipher) :
			 name_of(ciphers, RTE_DIM(ciphers), s->cipher);
}

const char *
xfrm_auth_name(const struct suite *s)
{
	return s->auth == ALG_NONE ? "" : name_of(auths, RTE_DIM(auths), s->auth);
}

static int
name_load(const struct attr *a, char name[XFRM_ALG_NAME_SIZE], struct err *err)
{
	memcpy(name, a->octets, XFRM_ALG_NAME_SIZE);
	if (memchr(name, 0, XFRM_ALG_NAME_SIZE) == NULL)
		return attr_refuse(a, -EINVAL, err, "the name has no end in its 64 octets: a 0");
	/* It goes into sentences, and those into logs. */
	for (char *p = name; *p != 0; p++)
		if (*p <= ' ' || *p > '~' || *p == '%')
			*p = '?';
	return 0;
}

static int
alg_load(const struct attr *a, bool has_icv, struct alg_in *in, struct err *err)
{
	uint32_t head = has_icv ? sizeof(struct xw_alg_icv) : sizeof(struct xw_alg);
	uint32_t bits;
	int rc = name_load(a, in->name, err);

	if (rc < 0)
		return rc;
	memcpy(&bits, a->octets + offsetof(struct xw_alg, key_bits), 4);
	in->attr = a;
	in->icv_bits = 0;
	if (has_icv)
		memcpy(&in->icv_bits, a->octets + offsetof(struct xw_alg_icv, icv_bits), 4);
	if (bits % 8 != 0)
		return attr_refuse(a, -EINVAL, err, "a key of %u bits: whole octets", bits);
	in->key_len = bits / 8;
	in->key = a->octets + head;
	if (in->key_len > a->len - head)
		return attr_refuse(a, -EINVAL, err,
				   "a key of %u bits, and %u octets for it: %u are needed", bits,
				   a->len - head, in->key_len);
	if (in->icv_bits % 8 != 0)
		return attr_refuse(a, -EINVAL, err, "a tag of %u bits: whole octets", in->icv_bits);
	return 0;
}

/* The row's algorithm whose key is that long. */
static int
pick(const struct name_row *row, const struct alg_in *in, const struct alg **alg, struct err *err)
{
	char sizes[48] = "";
	size_t n = 0;
	bool salt = false;

	for (size_t i = 0; i < RTE_DIM(row->ids) && row->ids[i] != ALG_NONE; i++) {
		const struct alg *a = &algs[row->ids[i]];
		uint32_t len = (uint32_t)a->key_len + a->salt_len;

		if (len == in->key_len) {
			*alg = a;
			return 0;
		}
		n += (size_t)snprintf(sizes + n, sizeof(sizes) - n, "%s%u", i == 0 ? "" : " or ",
				      len * 8);
		salt = salt || a->salt_len != 0;
	}
	return attr_refuse(in->attr, -EINVAL, err, "%s with a key of %u bits: %s%s", row->name,
			   in->key_len * 8, sizes, salt ? ", its salt included" : "");
}

static int
unknown(const struct alg_in *in, const struct name_row *rows, size_t n, struct err *err)
{
	char names[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i == 0 ? "" : ", ",
				       rows[i].name);
	return attr_refuse(in->attr, -ENOSYS, err, "there is no algorithm \"%s\" here: %s",
			   in->name, names);
}

static void
key_take(const struct alg_in *in, struct xfrm_key *key)
{
	key->len = (uint8_t)in->key_len;
	memcpy(key->octets, in->key, in->key_len);
}

static int
aead_load(const struct attr *a, struct xfrm_sa *sa, struct err *err)
{
	const struct name_row *row;
	const struct alg *alg;
	struct alg_in in;
	struct err why = { "" };
	int rc = alg_load(a, true, &in, err);

	if (rc < 0)
		return rc;
	row = row_named(aeads, RTE_DIM(aeads), in.name);
	if (row == NULL)
		return unknown(&in, aeads, RTE_DIM(aeads), err);
	rc = pick(row, &in, &alg, err);
	if (rc < 0)
		return rc;
	/* 0 would stand for the algorithm's own. */
	if (in.icv_bits == 0 || in.icv_bits > ALG_ICV_MAX * 8)
		return attr_refuse(a, -EINVAL, err, "a tag of %u bits: %u%s", in.icv_bits,
				   alg->icv_len * 8, alg->short_icv ? ", 96 or 64" : "");
	rc = suite_init(&sa->suite, alg, NULL, (uint8_t)(in.icv_bits / 8), false,
			(sa->flags & XFRM_SA_ESN) != 0, &why);
	if (rc < 0)
		return attr_refuse(a, rc, err, "%s", why.text);
	key_take(&in, &sa->key);
	return 0;
}

static int
auth_load(const struct attr *a, bool has_icv, struct alg_in *in, const struct alg **auth,
	  struct err *err)
{
	const struct name_row *row;
	uint32_t bits;
	int rc = alg_load(a, has_icv, in, err);

	if (rc < 0)
		return rc;
	row = row_named(auths, RTE_DIM(auths), in->name);
	if (row == NULL)
		return unknown(in, auths, RTE_DIM(auths), err);
	bits = in->icv_bits != 0 ? in->icv_bits : row->icv_default;
	if (bits != algs[row->ids[0]].icv_len * 8u)
		return attr_refuse(a, -ENOSYS, err,
				   "%s cut to %u bits%s: XFRMA_ALG_AUTH_TRUNC with %u", row->name,
				   bits, in->icv_bits == 0 ? " (as Linux does unless told)" : "",
				   algs[row->ids[0]].icv_len * 8u);
	return pick(row, in, auth, err);
}

static int
pair_load(const struct attr *crypt, const struct attr *auth, bool trunc, struct xfrm_sa *sa,
	  struct err *err)
{
	const struct alg *c, *a;
	const struct name_row *row;
	struct alg_in c_in, a_in;
	struct err why = { "" };
	int rc = alg_load(crypt, false, &c_in, err);

	if (rc < 0)
		return rc;
	row = row_named(ciphers, RTE_DIM(ciphers), c_in.name);
	if (row == NULL)
		return unknown(&c_in, ciphers, RTE_DIM(ciphers), err);
	rc = pick(row, &c_in, &c, err);
	if (rc < 0)
		return rc;
	rc = auth_load(auth, trunc, &a_in, &a, err);
	if (rc < 0)
		return rc;
	rc = suite_init(&sa->suite, c, a, 0, false, (sa->flags & XFRM_SA_ESN) != 0, &why);
	if (rc < 0)
		return attr_refuse(crypt, rc, err, "%s", why.text);
	key_take(&c_in, &sa->key);
	key_take(&a_in, &sa->auth_key);
	return 0;
}

/* AH's. */
static int
auth_alone_load(const struct attr *a, bool trunc, struct xfrm_sa *sa, struct err *err)
{
	const struct alg *auth;
	struct alg_in in;
	int rc = auth_load(a, trunc, &in, &auth, err);

	if (rc < 0)
		return rc;
	rc = suite_init_ah(&sa->suite, auth, (sa->flags & XFRM_SA_ESN) != 0, err);
	if (rc == 0)
		key_take(&in, &sa->auth_key);
	return rc;
}

static int
comp_load(const struct attr *a, struct xfrm_sa *sa, struct err *err)
{
	struct alg_in in;
	int rc = alg_load(a, false, &in, err);

	if (rc < 0)
		return rc;
	if (strcmp(in.name, "deflate") != 0)
		return attr_refuse(a, -ENOSYS, err, "there is no algorithm \"%s\" here: deflate",
				   in.name);
	sa->has |= XFRM_HAS_COMP;
	return 0;
}

int
algs_load(const struct attrs *list, struct xfrm_sa *sa, struct err *err)
{
	const struct attr *aead = attr_find(list, XFRM_A_ALG_AEAD);
	const struct attr *crypt = attr_find(list, XFRM_A_ALG_CRYPT);
	const struct attr *trunc = attr_find(list, XFRM_A_ALG_AUTH_TRUNC);
	/* GETSA shows one auth in both forms, and an address update sends both back. */
	const struct attr *auth = trunc != NULL ? trunc : attr_find(list, XFRM_A_ALG_AUTH);
	const struct attr *comp = attr_find(list, XFRM_A_ALG_COMP);
	int rc;

	if (comp != NULL)
		return comp_load(comp, sa, err);
	if (aead == NULL && crypt == NULL && auth == NULL)
		return 0;
	if (aead != NULL && (crypt != NULL || auth != NULL))
		return attr_refuse(crypt != NULL ? crypt : auth, -EINVAL, err,
				   "beside XFRMA_ALG_AEAD, which does it all: one of the two");
	if (sa->id.proto == XFRM_PROTO_AH && (aead != NULL || crypt != NULL))
		return attr_refuse(aead != NULL ? aead : crypt, -EINVAL, err,
				   "with id.proto 51 (AH): XFRMA_ALG_AUTH_TRUNC alone");
	if (aead != NULL)
		rc = aead_load(aead, sa, err);
	else if (sa->id.proto == XFRM_PROTO_AH)
		rc = auth_alone_load(auth, trunc != NULL, sa, err);
	else if (crypt == NULL)
		return attr_refuse(auth, -EINVAL, err,
				   "no XFRMA_ALG_CRYPT beside it: ecb(cipher_null) if nothing is "
				   "to be encrypted");
	else if (auth == NULL)
		return attr_refuse(crypt, -EINVAL, err,
				   "no XFRMA_ALG_AUTH_TRUNC beside it: a cipher alone protects "
				   "nothing");
	else
		rc = pair_load(crypt, auth, trunc != NULL, sa, err);
	if (rc == 0)
		sa->has |= XFRM_HAS_SUITE;
	return rc;
}
