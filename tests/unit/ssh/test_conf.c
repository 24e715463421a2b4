/* ssh_config: every case is asked OpenSSH's own client, too (ssh -G), and what it says has to hold here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <pwd.h>

#include <cmocka.h>

#include "conf_cases.h"
#include "core/buf.h"
#include "ssh/conf_internal.h"
#include "ssh/conf_shared.h"
#include "ssh/options.h"
#include "ssh/shared_parts.h"

static char dir[] = "/tmp/muster-conf-XXXXXX";
static const char *home;

/* ---- files ---- */

static void put(const char *name, const char *text, size_t n)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    chmod(path, 0600);
}

/* text with DIR replaced. */
static char *in_dir(const char *text)
{
    struct mu_buf b = MU_BUF_INIT;
    const char *at;

    while ((at = strstr(text, "DIR"))) {
        mu_buf_add(&b, text, (size_t)(at - text));
        mu_buf_adds(&b, dir);
        text = at + 3;
    }
    mu_buf_adds(&b, text);
    return mu_buf_take(&b);
}

static int setup(void **state)
{
    const struct passwd *pw = getpwuid(getuid());

    (void)state;
    if (!mkdtemp(dir) || !pw)
        return -1;
    home = pw->pw_dir; /* where ssh looks, whatever HOME says */
    setenv("HOME", home, 1);
    unsetenv("NO_SUCH_VARIABLE_HERE");
    for (size_t i = 0; i < sizeof(conf_files) / sizeof(conf_files[0]); i++) {
        char *text = in_dir(conf_files[i].text);
        put(conf_files[i].name, text, strlen(text));
        free(text);
    }
    return 0;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

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

struct here {
    struct mu_ssh_shared shared;
    struct mu_err err;
};

static int open_here(struct here *h, const char *file)
{
    char path[256];
    struct mu_ssh_config config = {.config_file = path};

    memset(h, 0, sizeof(*h));
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    return mu_confs_new(&h->shared.confs, &config, &h->err);
}

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
        cmocka_unit_test(test_as_ssh),     cmocka_unit_test(test_tokens),          cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_usual_files), cmocka_unit_test(test_algorithms),     cmocka_unit_test(test_names_are_known),
        cmocka_unit_test(test_mutated),    cmocka_unit_test(test_many_hosts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
