/* What token.c (module, session, login) and token_key.c (objects and what they do) share. */
#ifndef KEYS_TOKEN_PRIVATE_H
#define KEYS_TOKEN_PRIVATE_H

#include "keys/token.h"

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

struct token_key {
    struct token *token;
    P11KitUri *uri;
    const char *uri_text; /* of the configuration */
    CK_OBJECT_CLASS class;
    CK_OBJECT_HANDLE handle; /* valid in generation `found_in` of the session */
    uint64_t found_in;
};

struct token {
    void *library;
    CK_FUNCTION_LIST *functions;
    const struct pin *pin;
    bool initialised; /* C_Initialize() holds */
    bool pin_refused; /* for ever */
    bool known;       /* serial */
    CK_UTF8CHAR serial[16];
    CK_SESSION_HANDLE session;          /* CK_INVALID_HANDLE: none */
    uint64_t generation;                /* of the session, counted up */
    int64_t retry_at_ms;                /* not before */
    char message[KEY_LOAD_MESSAGE_MAX]; /* why there is no session */
    int error;                          /* the same for callers */
    unsigned key_count;
    struct token_key keys[TOKEN_KEY_MAX];
};

/* Session and login; TOKEN_PIN_REFUSED or negative errno with token->message set. `uri` names the
 * token. */
_must_use_ int token_connect(struct token *token, P11KitUri *uri);
/* Lets go of session and module. */
void token_disconnect(struct token *token);

/* True if the session, not the operation, is to blame for `rv`. */
bool token_session_is_lost(struct token *token, CK_RV rv);

const char *token_error_text(CK_RV rv);

#endif
