/* Who may connect, and to whom: TLS, credentials, and what is refused before anything is sent. */
#include "nats_test.h"
#include "nkey_test.h"

static void refused(struct bed *b, struct mu_nats_config c, int code, const char *says)
{
    assert_int_equal(bed_open(b, &c), code);
    assert_null(b->n);
    assert_says(b, says);
}

static void accepted(struct bed *b, struct mu_nats_config c)
{
    OK(b, bed_open(b, &c));
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
    mu_nats_close(b->n);
    b->n = NULL;
}

static void test_urls(void **state)
{
    struct bed *b = *state;
    const char *plain[] = {"nats://192.0.2.1:4222", "nats://127.evil.example:4222", "nats://localhost.example",
                           "nats://[2001:db8::1]:4222", "nats://127.0.0.1:1,nats://nats.example:4222"};
    const char *bad[] = {"127.0.0.1:4222", "http://127.0.0.1", "nats://127.0.0.1:0", "nats://127.0.0.1:65536",
                         "nats://127.0.0.1:x",
                         "nats://127.0.0.1:1x", "nats://", "nats://:4222", "", ",", "nats://127.0.0.1:4222/path"};

    for (size_t i = 0; i < COUNT(plain); i++)
        refused(b, (struct mu_nats_config){.urls = plain[i]}, MU_EINVAL, "is plain text, and not on this machine");
    for (size_t i = 0; i < COUNT(bad); i++)
        refused(b, (struct mu_nats_config){.urls = bad[i]}, MU_EINVAL, "NATS URL");
    refused(b, (struct mu_nats_config){.urls = "nats://joe:open-sesame@127.0.0.1:4222"}, MU_EINVAL, "must not have a user");
    assert_null(strstr(b->err.msg, "sesame"));
    /* On this machine, and asked for: it is tried, and nobody is there. */
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1"}, MU_EIO,
            "cannot connect to nats://127.0.0.1:1: no nats-server answers there");
    refused(b, (struct mu_nats_config){.urls = "nats://127.99.0.1:1, nats://[::1]:1 , nats://LOCALHOST:1/"}, MU_EIO, "no nats-server");
    refused(b, (struct mu_nats_config){.urls = "nats://nats.invalid:4222", .insecure = true}, MU_EIO, "nats.invalid");
    refused(b, (struct mu_nats_config){.urls = "tls://nats.invalid:4222"}, MU_EIO, "nats.invalid");
}

static void test_files(void **state)
{
    struct bed *b = *state;
    char path[128];
    struct nkey k;

    nkey_new(&k, OF_ACCOUNT);
    snprintf(path, sizeof path, "%s/file", b->dir);
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .nkey_file = path}, MU_EINVAL, "No such file");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .creds_file = path}, MU_EINVAL, "No such file");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .ca_file = path}, MU_EINVAL, "No such file");
    write_file(b, "file", "SUNOTASEED\n");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .nkey_file = path}, MU_EINVAL, "no seed of a user in /tmp");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .ca_file = path}, MU_EINVAL, "it is to be PEM");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .cert_file = path}, MU_EINVAL, "together");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .cert_file = path, .key_file = path}, MU_EINVAL,
            "are not a certificate and its key");
    write_file(b, "file", k.seed); /* an account's */
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .nkey_file = path}, MU_EINVAL, "no seed of a user");
    nkey_free(&k);
    nkey_new(&k, OF_USER);
    write_file(b, "file", k.seed);
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .creds_file = path}, MU_EINVAL, "no JWT in");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .nkey_file = path}, MU_EIO, "no nats-server");
    k.seed[20] = k.seed[20] == 'A' ? 'B' : 'A'; /* mistyped */
    write_file(b, "file", k.seed);
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .nkey_file = path}, MU_EINVAL, "no seed of a user");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .user = "u", .token = "t"}, MU_EINVAL, "one way only");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .password = "p"}, MU_EINVAL, "no user");
    write_file(b, "file", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    refused(b, (struct mu_nats_config){.urls = "nats://127.0.0.1:1", .cert_file = path, .key_file = path}, MU_EINVAL,
            "has a passphrase");
    nkey_free(&k);
}

static void test_users(void **state)
{
    struct bed *b = *state;

    server_start(b, "authorization { users = [ { user: joe, password: \"open sesame\" } ] }\n");
    accepted(b, (struct mu_nats_config){.user = "joe", .password = "open sesame"});
    refused(b, (struct mu_nats_config){.user = "joe", .password = "shut sesame"}, MU_EAUTH, "refuses these credentials");
    assert_null(strstr(b->err.msg, "sesame"));
    refused(b, (struct mu_nats_config){.user = "joe"}, MU_EAUTH, "refuses these credentials");
    refused(b, (struct mu_nats_config){0}, MU_EAUTH, "refuses these credentials");
    server_end(b);
    server_start(b, "authorization { token: \"a token\" }\n");
    accepted(b, (struct mu_nats_config){.token = "a token"});
    refused(b, (struct mu_nats_config){.token = "another"}, MU_EAUTH, "refuses these credentials");
}

/* Refused for a while, more than once: it tries on, says why, and is there again when it may. */
static void test_refused_later(void **state)
{
    struct bed *b = *state;
    struct mu_nats_config c = {.token = "one"};

    server_start(b, "authorization { token: one }\n");
    OK(b, bed_open(b, &c));
    server_kill(b);
    server_start(b, "authorization { token: two }\n");
    TURN_UNTIL(b, strstr(b->why, "refuses these credentials"));
    turn_for_ms(b, 2000);
    assert_int_equal(b->ups, 0);
    assert_true(b->downs <= 4); /* told once, not each time */
    server_kill(b);
    server_start(b, "authorization { token: one }\n");
    TURN_UNTIL(b, b->ups);
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
}

static void test_nkey(void **state)
{
    struct bed *b = *state;
    char path[128], config[256], text[256];
    struct nkey k, other;

    nkey_new(&k, OF_USER);
    nkey_new(&other, OF_USER);
    snprintf(path, sizeof path, "%s/seed", b->dir);
    snprintf(config, sizeof config, "authorization { users = [ { nkey: %s } ] }\n", k.public_key);
    server_start(b, config);
    write_file(b, "seed", k.seed);
    accepted(b, (struct mu_nats_config){.nkey_file = path});
    snprintf(text, sizeof text, "# a user\n%s\n", k.seed);
    write_file(b, "seed", text);
    accepted(b, (struct mu_nats_config){.nkey_file = path});
    write_file(b, "seed", other.seed);
    refused(b, (struct mu_nats_config){.nkey_file = path}, MU_EAUTH, "refuses these credentials");
    refused(b, (struct mu_nats_config){0}, MU_EAUTH, "refuses these credentials");
    nkey_free(&k);
    nkey_free(&other);
}

static void test_creds(void **state)
{
    struct bed *b = *state;
    struct nkey operator, account, system, user, stranger;
    char of_operator[2048] = "", of_account[2048] = "", of_system[2048] = "", of_user[2048] = "", text[8192], path[128];
    static const char limits[] = ",\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,\"exports\":-1,"
                                 "\"wildcards\":true,\"conn\":-1,\"leaf\":-1}";
    static const char form[] = "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"
                               "************************* IMPORTANT *************************\n"
                               "NKEY Seed printed below can be used to sign and prove identity.\n\n"
                               "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n";

    nkey_new(&operator, OF_OPERATOR);
    nkey_new(&account, OF_ACCOUNT);
    nkey_new(&system, OF_ACCOUNT);
    nkey_new(&user, OF_USER);
    nkey_new(&stranger, OF_USER);
    jwt_new(of_operator, &operator, &operator, "operator", "");
    jwt_new(of_account, &operator, &account, "account", limits);
    jwt_new(of_system, &operator, &system, "account", limits);
    jwt_new(of_user, &account, &user, "user", ",\"subs\":-1,\"data\":-1,\"payload\":-1");
    snprintf(text, sizeof text, "operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
             of_operator, system.public_key, account.public_key, of_account, system.public_key, of_system);
    server_start(b, text);
    snprintf(path, sizeof path, "%s/user.creds", b->dir);
    snprintf(text, sizeof text, form, of_user, user.seed);
    write_file(b, "user.creds", text);
    accepted(b, (struct mu_nats_config){.creds_file = path});
    snprintf(text, sizeof text, form, of_user, stranger.seed);
    write_file(b, "user.creds", text);
    refused(b, (struct mu_nats_config){.creds_file = path}, MU_EAUTH, "refuses these credentials");
    nkey_free(&operator);
    nkey_free(&account);
    nkey_free(&system);
    nkey_free(&user);
    nkey_free(&stranger);
}

/* Authorities `ca` and `other`; certificates of a server for 127.0.0.1, of one for somebody else, and of a client. */
static void make_certificates(struct bed *b)
{
    char command[2048];

    snprintf(command, sizeof command,
             "cd '%s' && exec 2>/dev/null\n"
             "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
             "for ca in ca other; do\n"
             "  key $ca && openssl req -x509 -new -key $ca.key -subj /CN=$ca -days 2 -addext basicConstraints=critical,CA:TRUE "
             "-out $ca.pem || exit 1\n"
             "done\n"
             "cert() { key $1 && openssl req -new -key $1.key -subj /CN=$1 -out $1.csr && echo \"$2\" >$1.ext &&\n"
             "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
             "cert server subjectAltName=IP:127.0.0.1,DNS:localhost && cert wrong subjectAltName=DNS:nats.example,IP:192.0.2.9 &&\n"
             "cert client extendedKeyUsage=clientAuth\n",
             b->dir);
    assert_int_equal(system(command), 0);
}

static const char *file(struct bed *b, char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", b->dir, name);
    return out;
}

static void test_tls(void **state)
{
    struct bed *b = *state;
    char ca[128], other[128], cert[128], key[128], named[64], plain[64];
    struct mu_nats_config good = {.ca_file = file(b, ca, "ca.pem")}, c;

    make_certificates(b);
    server_start(b, "tls {\n cert_file: \"$DIR/server.pem\"\n key_file: \"$DIR/server.key\"\n}\n");
    assert_memory_equal(b->url, "tls://127.0.0.1:", 16);
    accepted(b, good);
    snprintf(named, sizeof named, "tls://localhost:%s", strrchr(b->url, ':') + 1);
    c = good;
    c.urls = named;
    accepted(b, c);
    /* The authorities alone ask for TLS, too. */
    snprintf(plain, sizeof plain, "nats://127.0.0.1:%s", strrchr(b->url, ':') + 1);
    c.urls = plain;
    accepted(b, c);
    /* It is the server that asks for TLS here: its certificate has to be good all the same. */
    refused(b, (struct mu_nats_config){.urls = plain}, MU_EIO, "certificate");
    /* Whom nobody here knows: not among the system's authorities, not signed by those that are given. */
    refused(b, (struct mu_nats_config){0}, MU_EIO, "certificate");
    refused(b, (struct mu_nats_config){.ca_file = file(b, other, "other.pem")}, MU_EIO, "certificate");
    server_end(b);
    server_start(b, "tls {\n cert_file: \"$DIR/wrong.pem\"\n key_file: \"$DIR/wrong.key\"\n}\n");
    refused(b, good, MU_EIO, "mismatch");
    c.urls = named;
    refused(b, c, MU_EIO, "mismatch");
    server_end(b);
    server_start(b, "tls {\n cert_file: \"$DIR/server.pem\"\n key_file: \"$DIR/server.key\"\n"
                    " ca_file: \"$DIR/ca.pem\"\n verify: true\n}\n");
    refused(b, good, MU_EIO, "cannot connect to tls://127.0.0.1:");
    c = good;
    c.cert_file = file(b, cert, "client.pem");
    c.key_file = file(b, key, "client.key");
    accepted(b, c);
    c.key_file = file(b, key, "server.key");
    refused(b, c, MU_EINVAL, "are not a certificate and its key");
    server_end(b);
    /* A server without TLS is not talked to in plain text. */
    server_start(b, NULL);
    c = good;
    snprintf(named, sizeof named, "tls://127.0.0.1:%s", strrchr(b->url, ':') + 1);
    c.urls = named;
    refused(b, c, MU_EIO, "it has no TLS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_urls, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_files, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_users, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_refused_later, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_nkey, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_creds, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_tls, bed_setup, bed_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
