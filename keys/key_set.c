/* See keys/key_set.h. The PIN is looked at before anything else is touched. */
#include "keys/key_set.h"

#include "base/config.h"
#include "base/key_source.h"
#include "base/keys_setup.h"
#include "base/memfd.h"
#include "base/room.h"

#include <openssl/crypto.h>
#include <string.h>

enum { CERTIFICATES_MAX = 1024 * 1024 };

/* A set-up message and its descriptors in their order; see base/keys_setup.h. */
struct loading {
    const struct ipc_message *message;
    struct keys_setup setup;
    unsigned next;
    char why[KEY_LOAD_MESSAGE_MAX];
};

static int next_fd(struct loading *loading)
{
    if (loading->next == loading->message->fd_count)
        room_fail("bad set-up message: %u files came", loading->message->fd_count);
    return loading->message->fds[loading->next++];
}

static void load_certificate(struct key_set *set, struct loading *loading)
{
    _cleanup_mapping_ struct mapping pem = {0};
    int r = mapping_open(next_fd(loading), CERTIFICATES_MAX, &pem);
    if (loading->setup.keys.tls_key[0] == '\0')
        return;
    if (r < 0)
        room_fail("[link] certificate_file: %s", strerror(-r));
    if (client_certificate_init(&set->certificate, bytes_of(pem.data, pem.size), loading->why) < 0)
        room_fail("%s", loading->why);
}

static void load_pin(struct key_set *set, struct loading *loading)
{
    set->pin = OPENSSL_secure_zalloc(sizeof *set->pin);
    if (!set->pin)
        room_fail("keys: out of memory");
    if (loading->setup.keys.pin[0] && pin_read(next_fd(loading), loading->why, set->pin) < 0)
        room_fail("%s", loading->why);
}

/* An outcome of token_find_…(). */
static void require(const struct loading *loading, int outcome)
{
    if (outcome == TOKEN_PIN_REFUSED)
        room_fail_for_good("%s", loading->why);
    if (outcome != 0)
        room_fail("%s", loading->why);
}

static struct token *use_token(struct key_set *set, struct loading *loading)
{
    if (!set->token && token_new(&loading->setup.keys, set->pin, loading->why, &set->token) < 0)
        room_fail("%s", loading->why);
    return set->token;
}

static enum keys_source load_master_key(struct key_set *set, struct loading *loading,
                                        const char *source)
{
    const char *place;
    struct master_key *key = NULL;
    struct token_key *token_key = NULL;
    enum key_source kind = key_source_of(source, &place);
    int r;
    if (kind == KEY_SOURCE_TOKEN) {
        struct token *token = use_token(set, loading);
        require(loading, token_find_secret(token, source, loading->why, &token_key));
        r = master_key_of_token(token_key, loading->why, &key);
    } else {
        r = master_key_of_file(next_fd(loading), loading->why, &key);
    }
    if (r < 0 || key_ring_add(&set->ring, key, loading->why) < 0)
        room_fail("%s", loading->why);
    return (enum keys_source)kind;
}

static void load_tls_key(struct key_set *set, struct loading *loading)
{
    const char *place, *source = loading->setup.keys.tls_key;
    struct token_key *token_key = NULL;
    enum key_source kind = key_source_of(source, &place);
    int r;
    if (kind == KEY_SOURCE_TOKEN) {
        struct token *token = use_token(set, loading);
        require(loading, token_find_private(token, source, loading->why, &token_key));
        r = tls_signer_of_token(token_key, &set->certificate, loading->why, &set->signer);
    } else {
        r = tls_signer_of_file(next_fd(loading), &set->certificate, loading->why, &set->signer);
    }
    if (r < 0)
        room_fail("%s", loading->why);
    set->tls_source = (enum keys_source)kind;
}

void key_set_load(struct key_set *set, const struct ipc_message *setup)
{
    static struct loading loading; /* a configuration is long */
    char previous[KEY_SOURCE_SIZE];
    loading = (struct loading){.message = setup};
    memcpy(&loading.setup, setup->payload, sizeof loading.setup);
    set->tls12 = loading.setup.tls12;
    set->signatures_per_second = loading.setup.keys.signatures_per_second;
    set->signatures_burst = loading.setup.keys.signatures_burst;
    load_certificate(set, &loading);
    load_pin(set, &loading);
    const char *list = loading.setup.keys.previous_master_keys;
    set->master_source = load_master_key(set, &loading, loading.setup.keys.master_key);
    while (config_list_next(&list, previous, sizeof previous))
        load_master_key(set, &loading, previous);
    /* Without one the configuration waives that we authenticate ourselves. */
    if (loading.setup.keys.tls_key[0])
        load_tls_key(set, &loading);
    if (loading.next != setup->fd_count)
        room_fail("bad set-up message: %u files came", setup->fd_count);
}

void key_set_done(struct key_set *set)
{
    tls_signer_free(set->signer);
    key_ring_done(&set->ring);
    token_free(set->token);
    client_certificate_done(&set->certificate);
    OPENSSL_secure_clear_free(set->pin, sizeof *set->pin);
}
