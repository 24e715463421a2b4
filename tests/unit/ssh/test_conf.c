/* ssh_config: every case is asked OpenSSH's own client, too (ssh -G), and what it says has to hold here. What it does
 * not tell is in test_conf_rules.c. */
#include "conf_support.h"

#include <strings.h>

/* ---- ssh ---- */

/* What a command prints; *status is that of its end. */
static char *output_of(const char *command, int *status)
{
    struct mu_buf b = MU_BUF_INIT;
    char text[4096];
    size_t n;
    FILE *f = popen(command, "r");

    assert_non_null(f);
    while ((n = fread(text, 1, sizeof(text), f)) > 0)
        mu_buf_add(&b, text, n);
    *status = pclose(f);
    return mu_buf_take(&b);
}

static char *ask_ssh(const char *how, const char *args, const char *host, int *status)
{
    char command[1024];

    snprintf(command, sizeof(command), "ssh %s %s%s/config %s %s 2>&1 </dev/null", how, strstr(args, "-F ") ? "-E " : "-F ",
             dir, args, host);
    return output_of(command, status);
}

/* ---- here ---- */

/* With the commands of Match lines run, as a connect does. */
static int look_up(struct here *h, const struct mu_ssh_target *target, struct mu_ssh_options **out)
{
    for (;;) {
        char *pending = NULL, *command = NULL;
        int rc = mu_ssh_options_try(out, &pending, &h->shared, target, &h->err);

        if (rc || !pending)
            return rc;
        mu_ssh_options_free(*out);
        assert_true(mu_confs_claim(h->shared.confs, pending));
        assert_true(asprintf(&command, "{ %s\n} >/dev/null 2>&1", pending) > 0);
        mu_confs_tell(h->shared.confs, pending, system(command) == 0);
        free(command);
        free(pending);
    }
}

/* ---- compared ---- */

/* The values of a keyword, one after the other with "|" between them; NULL: there is none. */
static char *values(const char *text, const char *keyword)
{
    struct mu_buf b = MU_BUF_INIT;
    size_t n = strlen(keyword);

    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');

        if (!strncasecmp(line, keyword, n) && line[n] == ' ') {
            if (b.len)
                mu_buf_addc(&b, '|');
            mu_buf_add(&b, line + n + 1, (size_t)(end - line) - n - 1);
        }
        line = *end ? end + 1 : NULL;
    }
    if (!b.len) {
        mu_buf_free(&b);
        return NULL;
    }
    return mu_buf_take(&b);
}

/* What ssh says when nothing is said, so that we say nothing. */
static const struct {
    const char *keyword, *usual;
} keywords[] = {
    {"hostname", NULL}, {"port", NULL}, {"user", NULL}, {"identityfile", "*"}, {"certificatefile", NULL},
    {"identitiesonly", NULL}, {"identityagent", NULL}, {"proxyjump", NULL}, {"proxycommand", NULL},
    {"userknownhostsfile", "*"}, {"globalknownhostsfile", "*"}, {"hostkeyalias", NULL}, {"stricthostkeychecking", "ask"},
    {"ciphers", "*"}, {"macs", "*"}, {"kexalgorithms", "*"}, {"hostkeyalgorithms", "*"}, {"pubkeyacceptedalgorithms", "*"},
    {"preferredauthentications", NULL}, {"pubkeyauthentication", NULL}, {"passwordauthentication", NULL},
    {"kbdinteractiveauthentication", NULL}, {"bindaddress", NULL}, {"addressfamily", NULL}, {"serveraliveinterval", "0"},
    {"serveralivecountmax", NULL}, {"connecttimeout", "none"}, {"connectionattempts", "1"},
};

static void replace(char **text, const char *what, const char *with)
{
    struct mu_buf b = MU_BUF_INIT;
    const char *at = *text, *found;

    while ((found = strstr(at, what))) {
        mu_buf_add(&b, at, (size_t)(found - at));
        mu_buf_adds(&b, with);
        at = found + strlen(what);
    }
    mu_buf_adds(&b, at);
    free(*text);
    *text = mu_buf_take(&b);
}

/* ssh's words for a value in ours. */
static void in_our_words(const char *keyword, char **value)
{
    char *other = NULL;

    if (strstr(keyword, "authentication") && strcmp(keyword, "preferredauthentications") != 0)
        other = !strcmp(*value, "false") || !strcmp(*value, "no") ? strdup("no") : strdup("yes");
    else if (!strcmp(keyword, "stricthostkeychecking"))
        other = !strcmp(*value, "false") ? strdup("no") : !strcmp(*value, "accept-new") ? NULL : strdup("yes");
    else if (strstr(keyword, "knownhostsfile") && !**value)
        other = strdup("none");
    if (other) {
        free(*value);
        *value = other;
    }
    if (!strcmp(keyword, "identityfile") || !strcmp(keyword, "certificatefile")) /* it shows these as they are written */
        replace(value, "~", home);
    if (!strcmp(keyword, "proxyjump")) { /* it puts brackets around what looks numeric */
        replace(value, "[", "");
        replace(value, "]", "");
    }
}

static void compare(const char *what, const char *ours, const char *theirs)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        const char *k = keywords[i].keyword, *usual = keywords[i].usual;
        char *here = values(ours, k), *there = values(theirs, k);

        if (!here && there && usual && (!strcmp(usual, "*") || !strcmp(usual, there)))
            goto next;
        if (!there && strstr(k, "knownhostsfile")) /* "none": it shows no line */
            there = strdup("");
        if (there)
            in_our_words(k, &there);
        if (here && !strcmp(k, "proxyjump"))
            in_our_words(k, &here);
        if (here && !strcmp(k, "serveraliveinterval") && !strcmp(here, "30") && strtoul(there, NULL, 10) % 300 == 0)
            goto next; /* ours is another default */
        if (there && !strcmp(k, "proxycommand") && strchr(there, '%'))
            goto next; /* shown as written; test_tokens() has these */
        if (!here != !there || (here && strcmp(here, there) != 0))
            fail_msg("%s:\n%s: here %s, in ssh %s", what, k, here ? here : "nothing", there ? there : "nothing");
    next:
        free(here);
        free(there);
    }
}

static unsigned n_compared, n_refused;

/* The line that ssh complains of is the one that we do. */
static void check_place(const char *what, const char *ours, const char *theirs)
{
    const char *at = strstr(theirs, "line ");
    char place[32];

    if (!at || strstr(theirs, "command-line"))
        return;
    snprintf(place, sizeof(place), ":%lu: ", strtoul(at + 5, NULL, 10));
    if (!strstr(ours, place))
        fail_msg("%s:\nhere: %s\nin ssh: %s", what, ours, theirs);
}

static void try_host(const struct conf_case *c, struct here *h, int opened, const char *host)
{
    char *args = c->args ? in_dir(c->args) : NULL;
    const struct mu_ssh_target target = {.host = host, .args = args};
    struct mu_buf ours = MU_BUF_INIT;
    struct mu_ssh_options *o = NULL;
    char *theirs, what[2048];
    int status, rc = opened ? opened : look_up(h, &target, &o);

    snprintf(what, sizeof(what), "%s\nssh %s %s", c->config, args ? args : "", host);
    theirs = ask_ssh("-G", args ? args : "", host, &status);
    if ((rc == 0) != (status == 0))
        fail_msg("%s:\nhere %s, ssh says:\n%s", what, rc ? h->err.msg : "fine", theirs);
    if (rc) {
        n_refused++;
        check_place(what, h->err.msg, theirs);
    } else {
        n_compared++;
        mu_ssh_options_tell(o, &ours);
        compare(what, mu_buf_cstr(&ours), theirs);
    }
    mu_ssh_options_free(o);
    mu_buf_free(&ours);
    free(theirs);
    free(args);
}

static void test_as_ssh(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conf_cases) / sizeof(conf_cases[0]); i++) {
        const struct conf_case *c = &conf_cases[i];
        char *text = in_dir(c->config), *hosts = strdup(c->hosts), *rest = NULL;
        struct here h;
        int opened;

        put("config", text, strlen(text));
        opened = open_here(&h, "config");
        for (char *host = strtok_r(hosts, " ", &rest); host; host = strtok_r(NULL, " ", &rest))
            try_host(c, &h, opened, host);
        mu_confs_free(h.shared.confs);
        free(text);
        free(hosts);
    }
    print_message("%u hosts agree, %u are refused by both\n", n_compared, n_refused);
}

/* ---- tokens: ssh -G shows them as written, but a connect says what they became ---- */

static void test_tokens(void **state)
{
    static const char config[] = "Host a\n  HostName Real.Example\n  Port 2200\n  User ops\n  HostKeyAlias Ali\n"
                                 "  IdentityFile ~/k/%h-%n-%p-%r-%u-%i-%k-%L-%l-%d-%C-%%\n  IdentityFile ${HOME}/x\n"
                                 "  IdentityFile ~root/y\n  CertificateFile %d/%r\n"
                                 "  ProxyCommand false %h %n %p %r %k %% \"a  b\" # x\n";
    const struct mu_ssh_target target = {.host = "a"};
    struct mu_ssh_options *o = NULL;
    struct here h;
    char *said, line[2048];
    int status;

    (void)state;
    put("config", config, strlen(config));
    assert_int_equal(open_here(&h, "config"), 0);
    assert_int_equal(look_up(&h, &target, &o), 0);
    said = ask_ssh("-v -o StrictHostKeyChecking=yes", "", "a true", &status);
    for (size_t i = 0; i < 3; i++) {
        snprintf(line, sizeof(line), "identity file %s type", o->identity_files[i]);
        if (!strstr(said, line))
            fail_msg("%s: not in\n%s", line, said);
    }
    assert_null(o->identity_files[3]);
    snprintf(line, sizeof(line), "certificate file %s type", o->certificate_files[0]);
    assert_non_null(strstr(said, line));
    snprintf(line, sizeof(line), "Executing proxy command: exec %s\r\n", o->proxy_command);
    if (!strstr(said, line))
        fail_msg("%s: not in\n%s", line, said);
    free(said);
    mu_ssh_options_free(o);
    mu_confs_free(h.shared.confs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_ssh),
        cmocka_unit_test(test_tokens),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
