/* auth_server.h: a libssh server and client over a socket pair, only as far as public key authentication goes: the way
 * to have libssh sign with a key, since it has no public call for it.
 *
 * Purpose: for test programs only. Owner: each call makes and ends its own sessions and thread. Thread: any.
 * Must not know: the host's sessions.
 */
#ifndef AUTH_SERVER_H
#define AUTH_SERVER_H

#include <libssh/callbacks.h>
#include <libssh/server.h>
#include <pthread.h>
#include <sys/socket.h>

struct auth_server {
    const char *host_key_file;
    int fd;
    pthread_t thread;
};

/* Accept every key, after libssh has checked the signature. */
static int auth_server_pubkey(ssh_session session, const char *user, struct ssh_key_struct *key, char state, void *done)
{
    (void)session;
    (void)user;
    (void)key;
    if (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID)
        return SSH_AUTH_DENIED;
    *(bool *)done = state == SSH_PUBLICKEY_STATE_VALID;
    return SSH_AUTH_SUCCESS;
}

static void *auth_server_run(void *arg)
{
    struct auth_server *s = arg;
    ssh_bind bind = ssh_bind_new();
    ssh_session session = ssh_new();
    ssh_event event = ssh_event_new();
    bool process_config = false, done = false;
    struct ssh_server_callbacks_struct callbacks = {.userdata = &done, .auth_pubkey_function = auth_server_pubkey};

    ssh_callbacks_init(&callbacks);
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config);
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY, s->host_key_file);
    if (ssh_bind_accept_fd(bind, session, s->fd) == SSH_OK) {
        ssh_set_server_callbacks(session, &callbacks);
        ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
        if (ssh_handle_key_exchange(session) == SSH_OK && ssh_event_add_session(event, session) == SSH_OK) {
            while (!(ssh_get_status(session) & (SSH_CLOSED | SSH_CLOSED_ERROR))) /* until the client hangs up */
                if (ssh_event_dopoll(event, -1) == SSH_ERROR)
                    break;
            ssh_event_remove_session(event, session);
        }
    }
    ssh_event_free(event);
    ssh_disconnect(session);
    ssh_free(session);
    ssh_bind_free(bind);
    return NULL;
}

/* Authenticate with the agent behind agent_fd (taken; -1: without), and when that does not do with the key (NULL:
 * without). What libssh answers last. An agent that fails to sign makes it SSH_AUTH_ERROR, "Out of memory"; the session
 * lives on. */
static int authenticate(const char *host_key_file, ssh_key key, int agent_fd)
{
    struct auth_server server = {.host_key_file = host_key_file};
    ssh_session session = ssh_new();
    int pair[2], rc = SSH_AUTH_ERROR, no = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    server.fd = pair[1];
    if (pthread_create(&server.thread, NULL, auth_server_run, &server))
        abort();
    ssh_options_set(session, SSH_OPTIONS_HOST, "localhost");
    ssh_options_set(session, SSH_OPTIONS_USER, "somebody");
    ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
    ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    ssh_options_set(session, SSH_OPTIONS_FD, &pair[0]);
    if (agent_fd >= 0)
        ssh_set_agent_socket(session, agent_fd);
    /* The first answer brings the server's signature algorithms; without them libssh offers RSA with SHA-1 only. */
    if (ssh_connect(session) == SSH_OK && ssh_service_request(session, "ssh-userauth") == SSH_OK) {
        if (agent_fd >= 0)
            rc = ssh_userauth_agent(session, NULL);
        if (rc != SSH_AUTH_SUCCESS && key)
            rc = ssh_userauth_publickey(session, NULL, key);
    }
    if (rc != SSH_AUTH_SUCCESS)
        print_message("authenticate: %d %s\n", rc, ssh_get_error(session));
    ssh_free(session); /* alone: it closes the descriptor, which ssh_disconnect() would forget */
    pthread_join(server.thread, NULL);
    return rc;
}

#endif
