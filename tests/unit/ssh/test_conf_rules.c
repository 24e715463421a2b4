/* The rules of ssh_config that ssh -G does not tell: who goes before whom, the usual files and their permissions, lists
 * of algorithms, files that nobody wrote, and how long ten thousand hosts take. */
#include "conf_support.h"

#include <time.h>

/* ---- who goes before whom ---- */

static void test_precedence(void **state)
{
    static const char config[] = "User file\nPort 7\nIdentityFile /file\nUserKnownHostsFile /file\n"
                                 "StrictHostKeyChecking no\nConnectTimeout 5\nHostName real\n";
    const char *const keys[] = {"/run1", "/run2", NULL}, *const known[] = {"/run", NULL};
    char path[256];
    struct mu_ssh_config said = {.config_file = path, .user = "run", .key_files = keys, .known_hosts = known,
                                 .policy_given = true, .connect_timeout_given = true};
    struct mu_ssh_target target = {.host = "a"};
    struct mu_ssh_options *o = NULL;
    struct mu_ssh_shared sh = {0};
    struct mu_err err;

    (void)state;
    put("config", config, strlen(config));
    snprintf(path, sizeof(path), "%s/config", dir);
    assert_int_equal(mu_confs_new(&sh.confs, &said, &err), 0);

    /* the run before the file; --key as ssh -i */
    assert_int_equal(mu_ssh_options_lookup(&o, &sh, &target, &err), 0);
    assert_string_equal(o->user, "run");
    assert_int_equal(o->port, 7);
    assert_string_equal(o->hostname, "real");
    assert_string_equal(o->identity_files[0], "/run1");
    assert_string_equal(o->identity_files[1], "/run2");
    assert_string_equal(o->identity_files[2], "/file");
    assert_null(o->identity_files[3]);
    assert_null(o->known_hosts);
    assert_null(o->strict_host_key);
    assert_int_equal(o->connect_timeout_s, 0);
    mu_ssh_options_free(o);

    /* the server's args before the run; its own user and port before these */
    target.args = "-l args -p 8 -i /args -o UserKnownHostsFile=/args -o StrictHostKeyChecking=accept-new -o ConnectTimeout=9";
    assert_int_equal(mu_ssh_options_lookup(&o, &sh, &target, &err), 0);
    assert_string_equal(o->user, "args");
    assert_int_equal(o->port, 8);
    assert_string_equal(o->identity_files[0], "/args");
    assert_string_equal(o->identity_files[1], "/run1");
    assert_string_equal(o->known_hosts[0], "/args");
    assert_string_equal(o->strict_host_key, "accept-new");
    assert_int_equal(o->connect_timeout_s, 9);
    mu_ssh_options_free(o);

    target.user = "own";
    target.port = 9;
    target.key_file = "/own";
    assert_int_equal(mu_ssh_options_lookup(&o, &sh, &target, &err), 0);
    assert_string_equal(o->user, "own");
    assert_int_equal(o->port, 9);
    assert_string_equal(o->identity_files[0], "/own");
    assert_string_equal(o->identity_files[1], "/args");
    assert_string_equal(o->identity_files[2], "/file"); /* --key is for those that have none */
    mu_ssh_options_free(o);
    mu_confs_free(sh.confs);

    /* Nothing read, nothing said: as it always was; the run's keys are the run's. */
    said.config_file = NULL;
    said.user = NULL;
    target = (struct mu_ssh_target){.host = "A.b"};
    assert_int_equal(mu_confs_new(&sh.confs, &said, &err), 0);
    assert_int_equal(mu_ssh_options_lookup(&o, &sh, &target, &err), 0);
    assert_string_equal(o->hostname, "a.b");
    assert_int_equal(o->port, 22);
    assert_null(o->identity_files);
    mu_ssh_options_free(o);
    mu_confs_free(sh.confs);
}

/* ---- the usual files ---- */

static void usual(const char *user_config, unsigned mode, int expected, const char *word)
{
    char path[256];
    struct mu_conf *c = NULL;
    struct mu_err err = {0};

    put(".ssh/config", user_config, strlen(user_config));
    snprintf(path, sizeof(path), "%s/.ssh/config", dir);
    chmod(path, mode);
    assert_int_equal(mu_conf_read(&c, NULL, &err), expected);
    if (expected)
        assert_non_null(strstr(err.msg, word));
    mu_conf_free(c);
}

static void test_usual_files(void **state)
{
    const struct mu_conf_who who = {.original = "a", .local_user = "me", .home = "/"};
    struct mu_conf_found f = {0};
    struct mu_conf *c = NULL;
    struct mu_err err = {0};
    char path[256], *hostname = NULL;

    (void)state;
    setenv("HOME", dir, 1);
    assert_int_equal(mu_conf_read(&c, NULL, &err), 0); /* no folder .ssh */
    mu_conf_free(c);
    snprintf(path, sizeof(path), "%s/.ssh", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    usual("User x\n", 0600, 0, "");
    usual("User x\n", 0644, 0, "");
    usual("User x\n", 0666, MU_EINVAL, ".ssh/config: bad permissions 0666");
    usual("User x y\n", 0600, MU_EINVAL, ".ssh/config:1: User");

    /* Include without a folder, with ~ and with a pattern. */
    put(".ssh/more", "Port 5\n", 7);
    put(".ssh/less", "User less\n", 10);
    usual("Include more ~/.ssh/l?ss\n", 0600, 0, "");
    assert_int_equal(mu_conf_read(&c, NULL, &err), 0);
    assert_int_equal(mu_conf_ask(c, &who, &f, &hostname, &err), 0);
    assert_int_equal(f.one[MU_CONF_PORT]->value, 5);
    assert_string_equal(f.one[MU_CONF_USER]->text, "less");
    free(hostname);
    mu_conf_free(c);
    snprintf(path, sizeof(path), "%s/.ssh/more", dir);
    chmod(path, 0622);
    usual("Include more\n", 0600, MU_EINVAL, ".ssh/more: bad permissions");

    assert_int_equal(mu_conf_read(&c, "/nowhere/config", &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "/nowhere/config"));
    assert_int_equal(mu_conf_read(&c, "None", &err), 0);
    mu_conf_free(c);
    setenv("HOME", home, 1);
}

/* ---- algorithms ---- */

static void algorithms(const char *keyword, const char *list, const char *expected)
{
    struct mu_ssh_options *o = NULL;
    struct mu_err err = {0};
    struct mu_ssh_shared sh = {0};
    const struct mu_ssh_config said = {0};
    char args[256];
    const struct mu_ssh_target target = {.host = "a", .args = args};
    int rc;

    snprintf(args, sizeof(args), "-o %s=%s", keyword, list);
    assert_int_equal(mu_confs_new(&sh.confs, &said, &err), 0);
    rc = mu_ssh_options_lookup(&o, &sh, &target, &err);
    if (expected) {
        assert_int_equal(rc, 0);
        assert_string_equal(o->ciphers ? o->ciphers : o->macs ? o->macs : o->host_key_algorithms, expected);
    } else {
        assert_int_equal(rc, MU_EINVAL);
        assert_non_null(strstr(err.msg, keyword));
        assert_non_null(strstr(err.msg, list));
    }
    mu_ssh_options_free(o);
    mu_confs_free(sh.confs);
}

static void test_algorithms(void **state)
{
    (void)state;
    algorithms("Ciphers", "aes256-ctr,rot13,aes128-ctr", "aes256-ctr,aes128-ctr");
    algorithms("Ciphers", "rot13", NULL);
    algorithms("Ciphers", "-chacha20*,*gcm*", "aes256-ctr,aes192-ctr,aes128-ctr");
    algorithms("Ciphers", "-*", NULL);
    algorithms("Ciphers", "^aes128-ctr,3des-cbc",
               "aes128-ctr,3des-cbc,chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,"
               "aes192-ctr");
    algorithms("MACs", "+hmac-sha1,umac-64@openssh.com",
               "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1");
    algorithms("HostKeyAlgorithms", "rsa*,ssh-ed25519",
               "rsa-sha2-512,rsa-sha2-256,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519");
}

/* Each name that we take for known is known to this libssh. */
static void test_names_are_known(void **state)
{
    static const struct {
        enum mu_conf_form form;
        enum ssh_options_e option;
    } lists[] = {{MU_FORM_CIPHERS, SSH_OPTIONS_CIPHERS_C_S},
                 {MU_FORM_MACS, SSH_OPTIONS_HMAC_C_S},
                 {MU_FORM_KEX, SSH_OPTIONS_KEY_EXCHANGE},
                 {MU_FORM_KEYS, SSH_OPTIONS_HOSTKEYS},
                 {MU_FORM_KEYS, SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES}};
    const struct mu_conf_line line = {.keyword = "", .origin = ""};

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct mu_conf_arena a = {0};
        char *all = mu_conf_algorithms(&a, lists[i].form, "*", &line), *rest = NULL;

        for (char *name = strtok_r(all, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
            ssh_session s = ssh_new();
            if (ssh_options_set(s, lists[i].option, name) != SSH_OK)
                fail_msg("libssh does not know %s", name);
            ssh_free(s);
        }
        mu_conf_arena_free(&a);
    }
}

/* ---- files that nobody wrote ---- */

static void test_mutated(void **state)
{
    const struct mu_conf_who who = {.original = "a", .local_user = "me", .home = "/"};
    unsigned seed = 7;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        const struct conf_case *k = &conf_cases[i % (sizeof(conf_cases) / sizeof(conf_cases[0]))];
        size_t n = strlen(k->config), cut;
        char *text = strdup(k->config), *hostname = NULL;
        struct mu_conf_found f = {0};
        struct mu_conf *c = NULL;
        struct mu_err err = {0};
        char path[256];

        for (unsigned j = 0; n && j < 1 + i % 4; j++)
            text[(size_t)rand_r(&seed) % n] = "\"'\\ \t\n=#%$!*~,\xff\0{@["[rand_r(&seed) % 20];
        cut = n ? (size_t)rand_r(&seed) % (n + 1) : 0;
        put("mutated", text, i % 2 ? cut : n);
        snprintf(path, sizeof(path), "%s/mutated", dir);
        if (mu_conf_read(&c, path, &err)) {
            assert_true(err.msg[0]);
        } else {
            mu_conf_ask(c, &who, &f, &hostname, &err);
            free(hostname);
            mu_conf_free(c);
        }
        free(text);
    }
    for (unsigned i = 0; i < 3000; i++) {
        char args[] = "-J bastion -o 'Ciphers=aes256-ctr' -i \"a key\" -p 22 -l me -F x -4A -o UserKnownHostsFile=/x";
        struct mu_conf_arena a = {0};
        struct mu_conf_found f = {0};
        const char *file = NULL;
        struct mu_err err = {0};

        for (unsigned j = 0; j < 1 + i % 4; j++)
            args[(size_t)rand_r(&seed) % (sizeof(args) - 1)] = "\"'\\ \t\n=#-JoipF\xff\0"[rand_r(&seed) % 17];
        mu_conf_args(&a, args, &f, &file, &err);
        mu_conf_arena_free(&a);
    }
}

/* ---- ten thousand hosts ---- */

/* What is looked at for one server does not grow with the number of hosts in the file: counted by the time that many
 * look-ups take beside reading the file, which is linear. */
static void test_many_hosts(void **state)
{
    enum { HOSTS = 10000 };
    struct mu_buf text = MU_BUF_INIT;
    struct here h;
    struct timespec at[3];
    double reading, asking;

    (void)state;
    for (int i = 0; i < HOSTS; i++)
        mu_buf_addf(&text, "Host srv%05d\n  HostName 10.%d.%d.%d\n  Port %d\n", i, i >> 16, i >> 8 & 255, i & 255,
                    1 + i);
    mu_buf_adds(&text, "Host srv*\n  User ops\nHost *\n  IdentityFile /k\n");
    put("many", text.data, text.len);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at[0]);
    assert_int_equal(open_here(&h, "many"), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at[1]);
    for (int i = 0; i < HOSTS; i++) {
        char name[32], address[32];
        const struct mu_ssh_target target = {.host = name};
        struct mu_ssh_options *o = NULL;

        snprintf(name, sizeof(name), "srv%05d", i);
        snprintf(address, sizeof(address), "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(mu_ssh_options_lookup(&o, &h.shared, &target, &h.err), 0);
        assert_string_equal(o->hostname, address);
        assert_int_equal(o->port, 1 + i);
        assert_string_equal(o->user, "ops");
        mu_ssh_options_free(o);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at[2]);
    reading = (double)(at[1].tv_sec - at[0].tv_sec) + (double)(at[1].tv_nsec - at[0].tv_nsec) / 1e9;
    asking = (double)(at[2].tv_sec - at[1].tv_sec) + (double)(at[2].tv_nsec - at[1].tv_nsec) / 1e9;
    print_message("%d hosts: read in %.1f ms, asked for in %.1f ms (%.1f us each)\n", HOSTS, reading * 1e3, asking * 1e3,
                  asking / HOSTS * 1e6);
    mu_confs_free(h.shared.confs);
    mu_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_usual_files),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_names_are_known),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_many_hosts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
