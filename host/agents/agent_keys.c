/* Passphrases of an agent's keys: a person is asked when it begins, and never again, since later nobody is there. What was
 * answered is kept in memory for the runs to come. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>

struct mu_agent_phrase {
    struct mu_agent_phrase *next;
    char *key_file;
    char text[512];
};

static int remember(struct mu_agent *a, const char *key_file, const char *text)
{
    struct mu_agent_phrase *p = calloc(1, sizeof *p);
    if (!p || strlen(text) >= sizeof p->text || !(p->key_file = strdup(key_file))) {
        free(p);
        return MU_ENOMEM;
    }
    strcpy(p->text, text);
    p->next = a->phrases;
    a->phrases = p;
    return 0;
}

/* Nobody changes the list once the agent has begun: helper threads of guests may look. */
static int ask(void *arg, const char *key_file, bool again, char *out, size_t size)
{
    struct mu_agent *a = arg;
    struct mu_agent_phrase *p = a->phrases;
    while (p && strcmp(p->key_file, key_file) != 0)
        p = p->next;
    if (p && !again && strlen(p->text) < size) {
        strcpy(out, p->text);
        return 0;
    }
    if (a->begun || !a->config.settings || !a->config.settings->ssh.ask_passphrase)
        return MU_ENOENT;
    int rc = a->config.settings->ssh.ask_passphrase(a->config.settings->ssh.ask_arg, key_file, again, out, size);
    if (!rc && p)
        strcpy(p->key_file, ""); /* it was not that one */
    return rc ? rc : remember(a, key_file, out);
}

int mu_agent_check_ssh(struct mu_agent *a, struct mu_err *err)
{
    struct mu_ssh_shared *ssh = NULL;
    a->settings.ssh.ask_passphrase = ask;
    a->settings.ssh.ask_arg = a;
    int rc = mu_ssh_shared_new(&ssh, &a->settings.ssh, err);
    mu_ssh_shared_free(ssh);
    a->begun = true;
    return rc;
}

void mu_agent_forget_phrases(struct mu_agent *a)
{
    for (struct mu_agent_phrase *p = a->phrases, *next; p; p = next) {
        next = p->next;
        explicit_bzero(p->text, sizeof p->text);
        free(p->key_file);
        free(p);
    }
    a->phrases = NULL;
}
