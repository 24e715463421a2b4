/* Host keys of servers that have options: HostKeyAlias, files and strictness of their own; what is never trusted. */
#include "hostkey_support.h"

#include "ssh/options.h"
#include "ssh/shared_parts.h"

/* Options own their strings; here nobody frees them, and they may be literals. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

static void says(const struct mu_err *err, const char *text)
{
    if (!strstr(err->msg, text))
        fail_msg("\"%s\" is not in: %s", text, err->msg);
}

static void test_alias(void **state)
{
    struct mu_ssh_options o = {.hostname = "10.0.0.7", .port = 2222, .host_key_alias = "gateway"};
    struct mu_buf text = MU_BUF_INIT, order = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    add_line(&text, "gateway", 5);
    add_line(&text, "[10.0.0.7]:2222", 1);
    sh = shared_over(in_scratch("alias"), text.data, MU_HOSTKEY_STRICT);
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[5], &err), 0);
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[1], &err), MU_EHOSTKEYCHANGED);
    says(&err, "host key of gateway CHANGED");
    assert_int_equal(mu_hostkey_algorithms_for(sh, &o, &order, &err), 0);
    assert_int_equal(strncmp(order.data, "rsa-sha2-512,rsa-sha2-256,ssh-ed25519", 37), 0);
    o.host_key_alias = "another";
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[1], &err), MU_EHOSTKEYUNKNOWN);
    says(&err, "host key of another (HostKeyAlias of 10.0.0.7) is not known");
    o.host_key_alias = NULL;
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[1], &err), 0);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
    mu_buf_free(&order);
}

static void test_files_of_a_server(void **state)
{
    char *user[] = {in_scratch("user1"), in_scratch("user2"), NULL}, *none[] = {NULL};
    char *global[] = {in_scratch("global"), NULL};
    struct mu_ssh_options o = {.hostname = "srv", .port = 22, .known_hosts = user, .global_known_hosts = global};
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    add_line(&text, "srv", 0);
    sh = shared_over(in_scratch("runs"), text.data, MU_HOSTKEY_STRICT);
    mu_buf_clear(&text);
    add_line(&text, "srv", 1);
    write_file(user[1], text.data, 0600); /* the first one is not there */
    mu_buf_clear(&text);
    add_line(&text, "srv", 2);
    write_file(global[0], text.data, 0600);
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[0], &err), MU_EHOSTKEYCHANGED); /* the run's file does not count */
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[1], &err), 0);
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[2], &err), 0);
    o.known_hosts = none; /* "UserKnownHostsFile none" */
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[1], &err), MU_EHOSTKEYCHANGED);
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[2], &err), 0);
    o.known_hosts = o.global_known_hosts = NULL;
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[0], &err), 0);

    o.known_hosts = user;
    o.global_known_hosts = none;
    o.hostname = "new";
    o.strict_host_key = "yes";
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[3], &err), MU_EHOSTKEYUNKNOWN);
    o.strict_host_key = "accept-new";
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[3], &err), 0);
    assert_non_null(strstr(read_file(user[0]), "new ssh-ed25519 ")); /* into its own first file */
    o.strict_host_key = "yes";
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[3], &err), 0);
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[2], &err), MU_EHOSTKEYCHANGED);
    o.strict_host_key = "no";
    assert_int_equal(mu_hostkey_check_for(sh, &o, keys[2], &err), 0);
    assert_int_equal(times_logged("warning host keys are not checked"), 1);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

/* Whatever else says that the key is good. */
static void test_revoked_in_spite_of_all(void **state)
{
    struct mu_ssh_options o = {.hostname = "srv", .port = 2222, .strict_host_key = "no"};
    struct mu_ssh_trust *trust = NULL;
    struct mu_buf text = MU_BUF_INIT, line = MU_BUF_INIT;
    const char *given[] = {NULL, NULL};
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    mu_buf_addf(&line, "ssh-ed25519 %s", b64[0]);
    given[0] = line.data;
    mu_buf_adds(&text, "@revoked ");
    add_line(&text, "*", 0);
    add_line(&text, "srv,[srv]:2222", 0);
    for (int policy = MU_HOSTKEY_STRICT; policy <= MU_HOSTKEY_OFF; policy++) {
        sh = shared_over(in_scratch("revoked"), text.data, (enum mu_hostkey_policy)policy);
        assert_int_equal(mu_hostkey_check(sh, "srv", 22, keys[0], &err), MU_EHOSTKEYREVOKED);
        assert_int_equal(mu_hostkey_check(sh, "elsewhere", 2222, keys[0], &err), MU_EHOSTKEYREVOKED);
        assert_int_equal(mu_hostkey_check_for(sh, &o, keys[0], &err), MU_EHOSTKEYREVOKED);
        says(&err, "is REVOKED by ");
        assert_int_equal(mu_ssh_trust_new(&trust, given, &err), 0);
        assert_int_equal(mu_trust_check(trust, sh, "srv", 22, keys[0], &err), MU_EHOSTKEYREVOKED);
        mu_ssh_trust_unref(trust);
        assert_int_equal(mu_hostkey_check_for(sh, &o, keys[1], &err), 0);
        mu_ssh_shared_free(sh);
    }
    mu_buf_free(&text);
    mu_buf_free(&line);
}

/* A host with a certificate authority alone: another key of it is not new, but unproven. */
static void test_only_a_certificate_authority(void **state)
{
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    mu_buf_adds(&text, "@cert-authority ");
    add_line(&text, "*.example.org", 2);
    add_line(&text, "b.example.org", 1);
    for (int policy = MU_HOSTKEY_STRICT; policy <= MU_HOSTKEY_ACCEPT_NEW; policy++) {
        sh = shared_over(in_scratch("ca"), text.data, (enum mu_hostkey_policy)policy);
        assert_int_equal(mu_hostkey_check(sh, "a.example.org", 22, keys[0], &err), MU_EHOSTKEYUNKNOWN);
        says(&err, "is known only through the certificate authority of ");
        says(&err, "/ca:1, and muster cannot check host certificates");
        assert_string_equal(err.cause, "host key known only through a certificate authority");
        assert_int_equal(mu_hostkey_check(sh, "a.example.org", 2222, keys[0], &err), MU_EHOSTKEYUNKNOWN);
        assert_int_equal(mu_hostkey_check(sh, "a.example.org", 22, keys[2], &err), MU_EHOSTKEYUNKNOWN); /* even its own key */
        assert_int_equal(mu_hostkey_check(sh, "b.example.org", 22, keys[1], &err), 0);
        mu_ssh_shared_free(sh);
    }
    mu_buf_free(&text);
}

static void test_host_key_algorithms(void **state)
{
    struct mu_ssh_options o = {.hostname = "srv", .port = 22, .host_key_algorithms = "ssh-ed25519,rsa-sha2-256,rsa-sha2-512"};
    struct mu_buf text = MU_BUF_INIT, order = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    add_line(&text, "srv", 5);
    sh = shared_over(in_scratch("listed"), text.data, MU_HOSTKEY_STRICT);
    assert_int_equal(mu_hostkey_algorithms_for(sh, &o, &order, &err), 0);
    assert_string_equal(order.data, "rsa-sha2-256,rsa-sha2-512,ssh-ed25519"); /* the known one's first, in their order */
    mu_buf_clear(&order);
    o.host_key_algorithms = "ssh-dss";
    assert_int_equal(mu_hostkey_algorithms_for(sh, &o, &order, &err), MU_EKEX);
    says(&err, "HostKeyAlgorithms ssh-dss");
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
    mu_buf_free(&order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alias, clear_log),
        cmocka_unit_test_setup(test_files_of_a_server, clear_log),
        cmocka_unit_test_setup(test_revoked_in_spite_of_all, clear_log),
        cmocka_unit_test_setup(test_only_a_certificate_authority, clear_log),
        cmocka_unit_test_setup(test_host_key_algorithms, clear_log),
    };

    return cmocka_run_group_tests(tests, set_up_keys, tear_down_keys);
}
