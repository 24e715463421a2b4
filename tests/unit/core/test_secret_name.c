/* secret_name.h: names that promise a secret, and names that only look like it. */
#include "unit.h"

#include "core/secret_name.h"

static void secrets(void **state)
{
    (void)state;
    static const char *const names[] = {
        "password", "bmc_password", "BMC-PASSWORD", "rootpassword", "password2", "ansible_ssh_pass", "pass", "db.passwd",
        "key_passphrase", "secret", "clientSecret", "secrets", "credentials", "token", "API-Token", "x_token_y", "pw", "ipmi_pwd",
        "apikey", "apiKey", "api_key", "API-KEY", "my api key", "private_key", "privateKey", "ansible_private_key_file",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!mu_name_is_secret(names[i]))
            fail_msg("%s is a secret", names[i]);
}

static void no_secrets(void **state)
{
    (void)state;
    static const char *const names[] = {
        "", "_", "seconds", "tokens_per_second", "tokens", "passes", "compass", "rate", "bypass", "passed", "keys", "key",
        "public_key", "api", "api_keys", "key_api", "private", "private_network", "keeping", "spwd", "pwm", "rack", "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mu_name_is_secret(names[i]))
            fail_msg("%s is no secret", names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(secrets), cmocka_unit_test(no_secrets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
