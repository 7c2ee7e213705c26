/*
 * The forms of values in kosekifs.conf: numbers, durations, words, and the rules of single texts.
 * Each rule returns NULL, or what is wrong as a phrase that follows the key's name.
 */
#ifndef BASE_CONFIG_VALUES_H
#define BASE_CONFIG_VALUES_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits with an optional K, M or G (1024 each); false if it is not that or overflows. */
_must_use_ bool config_parse_number(const char *text, int64_t *ret_value);
/* Digits and one of ms, s, m, h; a bare 0 needs no unit. */
_must_use_ bool config_parse_milliseconds(const char *text, int64_t *ret_value);
_must_use_ bool config_parse_bool(const char *text, bool *ret_value);

const char *config_check_path(const char *text);
const char *config_check_http(const char *text);
const char *config_check_address_family(const char *text);
const char *config_check_interface(const char *text);
const char *config_check_address(const char *text); /* IPv4 or IPv6 */
const char *config_check_resolve(const char *text); /* HOST=ADDRESS[,ADDRESS] */
const char *config_check_reason(const char *text);  /* of a waiver */
const char *config_check_tls_min(const char *text);
const char *config_check_policy(const char *text);
const char *config_check_id_pattern(const char *text);
const char *config_check_server_pin(const char *text);
const char *config_check_crl_host(const char *text);
const char *config_check_crl_url(const char *text);
const char *config_check_clock(const char *text);
const char *config_check_digest(const char *text);
const char *config_check_oid(const char *text);
const char *config_check_sync(const char *text);
const char *config_check_when_down(const char *text);
const char *config_check_on_difference(const char *text);
const char *config_check_sandbox_level(const char *text);

#endif
