/*
 * kosekifs-keys as the supervisor would start it: a real process on ROOM_FD, key files made on the
 * spot in a directory of the test, and connections for it as mount or as link.
 */
#ifndef TESTS_UNIT_KEYS_FIXTURE_H
#define TESTS_UNIT_KEYS_FIXTURE_H

#include "base/room.h"
#include "base/sign.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <sys/types.h>

struct keys_process {
    pid_t pid;
    int supervisor_fd;
    bool tls12;      /* set before the start: handshakes of TLS 1.2 are signed too */
    int previous_fd; /* of a previous master key, set before the start; 0 = none */
};

/* The path of the program comes from the test's command line. */
extern const char *keys_program;

/* A file with these bytes in the current directory, opened for reading and already unlinked. */
int file_with(const void *data, size_t size, unsigned mode);
int file_with_key(EVP_PKEY *key);
int master_key_file(unsigned char fill);
/* A sealed memory file with a self-signed certificate for the key, as PEM. */
int certificate_for(EVP_PKEY *key);

EVP_PKEY *new_rsa_key(unsigned bits);
EVP_PKEY *new_ec_key(const char *group);

/* Starts and sends ROOM_SETUP; the descriptors are closed here. */
void keys_process_spawn(struct keys_process *process, int master_fd, int tls_fd,
                        int certificate_fd);
/* Waits for ROOM_READY. */
void keys_process_start(struct keys_process *process, EVP_PKEY *tls_key);
/* Expects ROOM_FAILED with a text that contains `words`, and exit code 1. */
void keys_process_expect_failure(int master_fd, int tls_fd, int certificate_fd, const char *words);
/* Announces a neighbour; returns its end of the connection. */
int keys_process_peer(struct keys_process *process, enum room_role role);
void keys_process_stop(struct keys_process *process);

#endif
