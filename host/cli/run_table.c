#include "run_table.h"

#include "log_args.h"
#include "nats_args.h"
#include "ssh_args.h"

const struct cli_option run_table[] = {
    {0, "Servers", NULL, NULL},
    {'i', "inventory", "WHAT",
     "the servers of WHAT: a plain list, JSON, or one of Ansible's inventories (a file, a folder, a program, or names with "
     "commas between them); - is standard input; repeatable"},
    {OPT_LIMIT, "limit", "PATTERN", "of the servers chosen, only those of PATTERN, such as 'web:&rack1:!srv03' or @failed.txt; repeatable, each narrows further"},
    {OPT_LIST_HOSTS, "list-hosts", NULL, "print id and address of the servers chosen, and on standard error all in one node set; run nothing"},
    {OPT_RERUN, "rerun", "STATUS",
     "only servers that had this status in the last run of the script, such as failed,error; with no server named: as they were "
     "then"},
    {OPT_OF, "of", "RUN", "of this run instead of the last"},
    {OPT_LOCAL, "local", NULL, "run the steps on this machine, without SSH; with no server named: localhost"},

    {0, "The run", NULL, NULL},
    {'p', "param", "NAME=VALUE", "set a parameter of the script; repeatable"},
    {'s', "step", "NAME", "only these steps of the script, and mark nobody: names or globs, several with commas between them; repeatable"},
    {OPT_ALLOW_DESTRUCTIVE, "allow-destructive", NULL, "run also steps that the script calls destructive"},
    {OPT_INSTALL_TOOLS, "install-tools", NULL, "install on the servers what the script needs there: -p install_tools=true"},
    {'t', "threshold", "STEP.METRIC=RULE",
     "judge a metric by this rule, such as 'cpu.score=>= 40' or a JSON object (docs/thresholds.md), whatever script and inventory "
     "say; repeatable"},
    {'j', "forks", "N", "servers in flight at once (default 50; with --nats as many as the agents take)"},
    {OPT_WORKERS, "workers", "N", "threads that share them (default: the number of cores)"},
    {OPT_FAIL_FAST, "fail-fast", NULL, "after a step that did not pass, skip the rest of that server's steps"},
    {OPT_MAX_BROKEN, "max-broken", "CAP",
     "mark no more servers as broken than this, or else none: 5%, 20 or 5%,20 (default: what the script says, else 5%)"},
    {OPT_DRY_RUN, "dry-run", NULL, "change nothing and measure nothing: hooks say what they would do"},
    {OPT_WATCH, "watch", NULL, "run again whenever the script, or a module of it, is saved; Ctrl-C ends"},
    {OPT_RECORD, "record", "DIR", "write what each server was asked and answered to a transcript in DIR, a file a server"},
    {OPT_REPLAY, "replay", "DIR",
     "run without servers: the transcripts in DIR answer; with no server named: all that it has of the script"},
    {OPT_DB, "db", "FILE", "keep the run in FILE, for `muster resume` and --rerun (default: results.db in the state folder)"},
    {OPT_NO_DB, "no-db", NULL, "keep it nowhere"},
    {OPT_STATE_DIR, "state-dir", "DIR",
     "the state folder: results, and the journal of what scripts claim (see `muster cleanup`) (default: $XDG_STATE_HOME/muster, "
     "else ~/.local/state/muster)"},
    {OPT_TASK_MEMORY, "task-memory", "SIZE", "Lua memory of one server's task (default 64M)"},

    {0, "Time limits (90s, 5m, 1h30m, 250ms; a bare number is seconds)", NULL, NULL},
    {OPT_TIMEOUT, "timeout", "DUR", "for one server as a whole (default: what the script says, else 1h)"},
    {OPT_INVENTORY_TIMEOUT, "inventory-timeout", "DUR", "for one answer of a program that prints an inventory (default 30s)"},
    {OPT_TEARDOWN_TIMEOUT, "teardown-timeout", "DUR", "for the script's teardown on one server (default: what the script says, else 60s)"},
    {OPT_GRACE, "grace", "DUR", "for teardowns after an interrupt (default 15s)"},

    {0, "SSH", NULL, NULL},
    CLI_SSH_OPTIONS,

    {0, "Agents (docs/agents.md)", NULL, NULL},
    {OPT_NATS, "nats", "URL",
     "let agents do it (`muster agent`): those that take work from NATS there; several URLs of one cluster with commas between "
     "them. Then SSH's options are the agents' own, but for --user"},
    {OPT_AGENT_WAIT, "agent-wait", "DUR", "a server that no agent is there for during this time is an error (default 10m)"},
    CLI_NATS_OPTIONS,

    {0, "Log (on standard error) and summary (on standard output)", NULL, NULL},
    CLI_LOG_OPTIONS,
    {OPT_PROGRESS, "progress", "WHEN",
     "auto, always or never: on a terminal a line that tells how far the run is, elsewhere a line of the log every so often "
     "(default auto, with --quiet never); SIGUSR1, or the key i, logs which server is in which step"},
    {OPT_PROGRESS_INTERVAL, "progress-interval", "DUR", "between those lines of the log (default 60s)"},

    {0, "Reports", NULL, NULL},
    {OPT_JUNIT, "junit", "FILE", "write the results as JUnit XML to FILE"},
    {OPT_JSON, "json", "FILE",
     "write the results as JSON to FILE; - is standard output, the summary then goes to "
     "standard error"},
    {OPT_HTML, "html", "FILE", "write the results as one HTML page to FILE, with the script's former runs"},
    {OPT_OPENMETRICS, "openmetrics", "FILE",
     "write the results as metrics for Prometheus to FILE (OpenMetrics text, also for node_exporter's textfile collector)"},
    {OPT_OTEL_JSONL, "otel-jsonl", "FILE", "write the results as metrics of OpenTelemetry to FILE (OTLP, JSON lines)"},

    {0, "Other", NULL, NULL},
    {'h', "help", NULL, "print this help"},

    /* Hidden: people try it, and deserve to be told. */
    {OPT_CHANGED_SCRIPT, "changed-script", NULL, NULL},
    {0, NULL, NULL, NULL},
};
