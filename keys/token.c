/* Module, session and login; see keys/token.h. */
#include "keys/token_private.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>

enum { SLOTS_MAX = 64 };

_printf_(3, 4) static int fault(struct token *token, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(token->message, sizeof token->message, format, arguments);
    va_end(arguments);
    token->error = error;
    return error;
}

const char *token_error_text(CK_RV rv)
{
    static char text[40];
    static const struct {
        CK_RV rv;
        const char *name;
    } names[] = {
        {CKR_PIN_INCORRECT, "PIN incorrect"},
        {CKR_PIN_INVALID, "PIN invalid"},
        {CKR_PIN_LEN_RANGE, "PIN too short or too long"},
        {CKR_PIN_EXPIRED, "PIN expired"},
        {CKR_PIN_LOCKED, "PIN locked"},
        {CKR_USER_PIN_NOT_INITIALIZED, "PIN not set"},
        {CKR_TOKEN_NOT_PRESENT, "token not present"},
        {CKR_DEVICE_REMOVED, "device removed"},
        {CKR_DEVICE_ERROR, "device error"},
        {CKR_GENERAL_ERROR, "general error"},
        {CKR_FUNCTION_FAILED, "function failed"},
        {CKR_MECHANISM_INVALID, "mechanism not supported"},
        {CKR_MECHANISM_PARAM_INVALID, "mechanism parameter not supported"},
        {CKR_KEY_FUNCTION_NOT_PERMITTED, "the key's attributes do not allow it"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].rv == rv)
            return names[i].name;
    snprintf(text, sizeof text, "PKCS#11 error 0x%lx", rv);
    return text;
}

static int set_environment(struct token *token, const char *list)
{
    char variable[512];
    while (config_list_next(&list, variable, sizeof variable)) {
        char *value = strchr(variable, '=');
        if (!value)
            continue; /* refused when the configuration was read */
        *value++ = '\0';
        if (setenv(variable, value, 1) < 0)
            return fault(token, -errno, "[keys] pkcs11_environment: %s", strerror(errno));
    }
    return 0;
}

static int load_module(struct token *token, const char *path)
{
    CK_C_GetFunctionList get_functions = NULL;
    token->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!token->library)
        return fault(token, -ENOENT, "[keys] pkcs11_module: %.180s", dlerror());
    void *symbol = dlsym(token->library, "C_GetFunctionList");
    memcpy(&get_functions, &symbol, sizeof get_functions);
    if (!get_functions || get_functions(&token->functions) != CKR_OK || !token->functions)
        return fault(token, -EINVAL, "[keys] pkcs11_module: %.180s is no PKCS#11 module", path);
    return 0;
}

static int initialise(struct token *token)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    if (token->initialised)
        return 0;
    CK_RV rv = token->functions->C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return fault(token, -EIO, "[keys] pkcs11_module: C_Initialize: %s", token_error_text(rv));
    token->initialised = true;
    return 0;
}

int token_new(const struct config_keys *config, const struct pin *pin, char *ret_message,
              struct token **ret_token)
{
    struct token *token = calloc(1, sizeof *token);
    if (!token) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "token: out of memory");
        return -ENOMEM;
    }
    token->pin = pin;
    token->session = CK_INVALID_HANDLE;
    int r = set_environment(token, config->pkcs11_environment);
    if (r == 0)
        r = load_module(token, config->pkcs11_module);
    if (r == 0)
        r = initialise(token);
    if (r < 0) {
        memcpy(ret_message, token->message, KEY_LOAD_MESSAGE_MAX);
        token_free(token);
        return r;
    }
    *ret_token = token;
    return 0;
}

struct token *token_free(struct token *token)
{
    if (!token)
        return NULL;
    token_disconnect(token);
    for (unsigned i = 0; i < token->key_count; i++)
        p11_kit_uri_free(token->keys[i].uri);
    /* Not unloaded: modules leave threads and exit handlers behind. */
    free(token);
    return NULL;
}

void token_disconnect(struct token *token)
{
    if (token->session != CK_INVALID_HANDLE)
        token->functions->C_CloseSession(token->session);
    token->session = CK_INVALID_HANDLE;
    if (token->initialised)
        token->functions->C_Finalize(NULL);
    token->initialised = false;
}

enum token_state token_state(const struct token *token)
{
    if (token->session != CK_INVALID_HANDLE)
        return TOKEN_THERE;
    return token->pin_refused || token->error == -EACCES ? TOKEN_WITHOUT_LOGIN : TOKEN_GONE;
}

/* The one token that the URI names; the same one as before, if there was one. */
static int find_slot(struct token *token, P11KitUri *uri, CK_SLOT_ID *ret_slot)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    unsigned matches = 0;
    CK_RV rv = token->functions->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return fault(token, -ENODEV, "[keys] the slots cannot be listed: %s", token_error_text(rv));
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (token->functions->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
            !(info.flags & CKF_TOKEN_INITIALIZED) || !p11_kit_uri_match_token_info(uri, &info))
            continue;
        if (token->known && memcmp(token->serial, info.serialNumber, sizeof token->serial) != 0)
            continue;
        *ret_slot = slots[i];
        matches++;
    }
    if (matches == 1)
        return 0;
    return matches == 0 ? fault(token, -ENODEV, "[keys] the token is not there")
                        : fault(token, -EINVAL, "[keys] %u tokens fit; name its serial=", matches);
}

/* Whether a login may be tried, and with what it would be counted. */
static int check_login(struct token *token, const CK_TOKEN_INFO *info)
{
    size_t size = token->pin->size;
    if (token->pin_refused)
        return fault(token, -EACCES,
                     "[keys] the token refused the PIN before; it is not sent again");
    if (!(info->flags & CKF_USER_PIN_INITIALIZED))
        return fault(token, -EACCES, "[keys] the token has no user PIN yet");
    if (info->flags & CKF_USER_PIN_LOCKED)
        return fault(token, -EACCES,
                     "[keys] the token's PIN is locked; its security officer can "
                     "set a new one");
    if (info->flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY))
        return fault(token, -EACCES,
                     "[keys] the token says that a wrong PIN was entered since the last login%s; "
                     "nothing is sent until somebody has logged in by hand (pkcs11-tool --login)",
                     info->flags & CKF_USER_PIN_FINAL_TRY ? " and one more would lock it" : "");
    if (size == 0)
        return fault(token, -EACCES, "[keys] the token wants a PIN and pin is not set");
    if (size < info->ulMinPinLen || size > info->ulMaxPinLen)
        return fault(token, -EACCES,
                     "[keys] pin: the token's PINs have %lu to %lu bytes; no login "
                     "was tried",
                     info->ulMinPinLen, info->ulMaxPinLen);
    return 0;
}

static bool is_gone(CK_RV rv)
{
    return rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_DEVICE_REMOVED || rv == CKR_SESSION_CLOSED ||
           rv == CKR_SESSION_HANDLE_INVALID;
}

/* The only place that sends a PIN. What is not clearly "no token" counts as a refusal: whether the
 * token counted it as a wrong PIN cannot be known. */
static int log_in(struct token *token, const CK_TOKEN_INFO *info)
{
    CK_UTF8CHAR pin[PIN_MAX];
    if (!(info->flags & CKF_LOGIN_REQUIRED))
        return 0;
    int r = check_login(token, info);
    if (r < 0)
        return r;
    memcpy(pin, token->pin->text, token->pin->size);
    CK_RV rv = token->functions->C_Login(token->session, CKU_USER, pin, token->pin->size);
    wipe(pin, sizeof pin);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
        return 0;
    if (is_gone(rv))
        return fault(token, -ENODEV, "[keys] the token went away: %s", token_error_text(rv));
    token->pin_refused = true;
    fault(token, -EACCES,
          "[keys] the token refuses the PIN (%s); it is not tried again: correct "
          "the file that pin names, log in once by hand, start kosekifs",
          token_error_text(rv));
    return TOKEN_PIN_REFUSED;
}

static int open_session(struct token *token, P11KitUri *uri)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;
    int r = initialise(token);
    if (r == 0)
        r = find_slot(token, uri, &slot);
    if (r < 0)
        return r;
    CK_RV rv = token->functions->C_GetTokenInfo(slot, &info);
    if (rv == CKR_OK)
        rv = token->functions->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
    if (rv != CKR_OK) {
        token->session = CK_INVALID_HANDLE;
        return fault(token, -ENODEV, "[keys] no session with the token: %s", token_error_text(rv));
    }
    r = log_in(token, &info);
    if (r == 0 && !token->known) {
        memcpy(token->serial, info.serialNumber, sizeof token->serial);
        token->known = true;
    }
    return r;
}

int token_connect(struct token *token, P11KitUri *uri)
{
    int64_t now_ms = clock_monotonic_ms();
    if (token->session != CK_INVALID_HANDLE)
        return 0;
    if (now_ms < token->retry_at_ms)
        return token->error < 0 ? token->error : -ENODEV;
    token->retry_at_ms = now_ms + TOKEN_RETRY_MS;
    char before[KEY_LOAD_MESSAGE_MAX];
    memcpy(before, token->message, sizeof before);
    int r = open_session(token, uri);
    if (r == 0) {
        if (token->generation++ > 0)
            log_info("the token is back");
        token->message[0] = '\0';
        token->error = 0;
        return 0;
    }
    token_disconnect(token);
    if (token->generation > 0 && strcmp(before, token->message) != 0)
        log_error("%s", token->message);
    return r;
}

/* Codes that say it themselves; of the vague ones the session is asked. */
bool token_session_is_lost(struct token *token, CK_RV rv)
{
    CK_SESSION_INFO info;
    switch (rv) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_DEVICE_REMOVED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_SLOT_ID_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        return true;
    case CKR_DEVICE_ERROR:
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
        return token->functions->C_GetSessionInfo(token->session, &info) != CKR_OK ||
               (info.state != CKS_RO_USER_FUNCTIONS && info.state != CKS_RW_USER_FUNCTIONS);
    default:
        return false;
    }
}
