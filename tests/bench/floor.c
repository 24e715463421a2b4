/* floor: what a good C engineer writes without muster, to measure muster against.
 *
 * A thread a server, so many at a time, and blocking libssh. Keys are loaded once and known_hosts is read once; each
 * server's host key is compared with that table; one command, its output read to the end, close. Prints a line of JSON.
 *
 *   floor -k KNOWN_HOSTS [-j IN-FLIGHT] [-p] SERVERS COMMAND     SERVERS: lines of "id address port user keyfile"
 *
 * With -p (pool) the threads serve one server after another instead.
 */
#include <errno.h>
#include <libssh/libssh.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE (64 * 1024) /* libssh's frames are small; glibc's 8 MiB would only cost address space */
#define TIMEOUT_S 600
#define TOLD_MAX 5 /* failures that are told one by one */

struct key_file {
    char *path;
    ssh_key key;
};

struct server {
    char id[64], address[64], user[64];
    unsigned port;
    ssh_key key;
    const struct known *known;
};

struct known {
    char *name, *type, *base64;
};

static struct server *servers;
static struct known *known;
static struct key_file *keys;
static size_t n_servers, n_known, n_keys;
static const char *command;
static atomic_size_t next_server, n_ok, n_told;
static sem_t room; /* for one more thread */

static void die(const char *what, const char *which)
{
    fprintf(stderr, "floor: %s: %s\n", which, what);
    exit(2);
}

static void *grown(void *array, size_t n, size_t size)
{
    if ((n & (n - 1)) == 0)
        array = realloc(array, (n ? 2 * n : 1) * size);
    if (!array)
        die("out of memory", "lists");
    return array;
}

/* ---- read once ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->name, ((const struct known *)b)->name);
}

static void read_known_hosts(const char *path)
{
    FILE *file = fopen(path, "re");
    char name[256], type[64], base64[2048];

    if (!file)
        die(strerror(errno), path);
    while (fscanf(file, "%255s %63s %2047s%*[^\n]", name, type, base64) == 3) {
        known = grown(known, n_known, sizeof *known);
        known[n_known++] = (struct known){strdup(name), strdup(type), strdup(base64)};
    }
    fclose(file);
    qsort(known, n_known, sizeof *known, by_name);
}

static ssh_key load_key(const char *path)
{
    for (size_t i = 0; i < n_keys; i++)
        if (!strcmp(keys[i].path, path))
            return keys[i].key;
    keys = grown(keys, n_keys, sizeof *keys);
    if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &keys[n_keys].key) != SSH_OK)
        die("not a private key", path);
    keys[n_keys].path = strdup(path);
    return keys[n_keys++].key;
}

static void read_servers(const char *path)
{
    FILE *file = fopen(path, "re");
    char key_path[PATH_MAX];
    struct server s;

    if (!file)
        die(strerror(errno), path);
    while (fscanf(file, "%63s %63s %u %63s %4095s", s.id, s.address, &s.port, s.user, key_path) == 5) {
        char name[96];

        snprintf(name, sizeof name, s.port == 22 ? "%s" : "[%s]:%u", s.address, s.port);
        s.key = load_key(key_path);
        s.known = bsearch(&(struct known){.name = name}, known, n_known, sizeof *known, by_name);
        servers = grown(servers, n_servers, sizeof *servers);
        servers[n_servers++] = s;
    }
    fclose(file);
}

/* ---- one server ---- */

static int verify(ssh_session ssh, const struct server *s)
{
    ssh_key key = NULL;
    char *base64 = NULL;
    int rc = SSH_ERROR;

    if (s->known && ssh_get_server_publickey(ssh, &key) == SSH_OK && ssh_pki_export_pubkey_base64(key, &base64) == SSH_OK &&
        !strcmp(base64, s->known->base64))
        rc = SSH_OK;
    ssh_string_free_char(base64);
    ssh_key_free(key);
    return rc;
}

static bool run_command(ssh_session ssh)
{
    ssh_channel channel = ssh_channel_new(ssh);
    char out[16384];
    bool ok = false;
    int n;

    if (!channel)
        return false;
    if (ssh_channel_open_session(channel) != SSH_OK || ssh_channel_request_exec(channel, command) != SSH_OK)
        goto out;
    while ((n = ssh_channel_read(channel, out, sizeof out, 0)) > 0)
        continue;
    while (n == 0 && (n = ssh_channel_read(channel, out, sizeof out, 1)) > 0)
        continue;
    ok = n == 0 && ssh_channel_get_exit_status(channel) == 0;
    ssh_channel_close(channel);
out:
    ssh_channel_free(channel);
    return ok;
}

static bool set_options(ssh_session ssh, const struct server *s)
{
    const int no = 0, yes = 1;
    const long timeout = TIMEOUT_S;

    return s->known && !ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &no) &&
           !ssh_options_set(ssh, SSH_OPTIONS_SSH_DIR, "/dev/null") && !ssh_options_set(ssh, SSH_OPTIONS_HOST, s->address) &&
           !ssh_options_set(ssh, SSH_OPTIONS_PORT, &s->port) && !ssh_options_set(ssh, SSH_OPTIONS_USER, s->user) &&
           !ssh_options_set(ssh, SSH_OPTIONS_KNOWNHOSTS, "/dev/null") &&
           !ssh_options_set(ssh, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") &&
           !ssh_options_set(ssh, SSH_OPTIONS_HOSTKEYS, s->known->type) &&
           !ssh_options_set(ssh, SSH_OPTIONS_TIMEOUT, &timeout) && !ssh_options_set(ssh, SSH_OPTIONS_NODELAY, &yes);
}

static void serve(const struct server *s)
{
    ssh_session ssh = ssh_new();
    bool ok = false;

    if (ssh && set_options(ssh, s) && ssh_connect(ssh) == SSH_OK && verify(ssh, s) == SSH_OK &&
        ssh_userauth_publickey(ssh, NULL, s->key) == SSH_AUTH_SUCCESS)
        ok = run_command(ssh);
    if (ok)
        n_ok++;
    else if (n_told++ < TOLD_MAX)
        fprintf(stderr, "floor: %s: %s\n", s->id, !s->known ? "not in known_hosts" : ssh ? ssh_get_error(ssh) : "out of memory");
    if (ssh)
        ssh_disconnect(ssh);
    ssh_free(ssh);
}

static void *one_server(void *server)
{
    serve(server);
    sem_post(&room);
    return NULL;
}

static void *one_after_another(void *unused)
{
    size_t i;

    while ((i = next_server++) < n_servers)
        serve(&servers[i]);
    sem_post(&room);
    return unused;
}

/* ---- all of them ---- */

static void take_room(void)
{
    while (sem_wait(&room))
        continue;
}

static void run_threads(size_t in_flight, bool pool)
{
    size_t n = pool ? in_flight : n_servers;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sem_init(&room, 0, (unsigned)in_flight);
    for (size_t i = 0; i < n; i++) {
        pthread_t thread;
        int rc;

        take_room();
        rc = pthread_create(&thread, &attr, pool ? one_after_another : one_server, &servers[i]);
        if (rc)
            die(strerror(rc), "thread");
    }
    while (in_flight--)
        take_room();
    pthread_attr_destroy(&attr);
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char **argv)
{
    const char *known_hosts = NULL;
    struct timespec start, end;
    struct rlimit files;
    struct rusage use;
    bool pool = false;
    size_t j = 50;
    int c;

    while ((c = getopt(argc, argv, "k:j:p")) != -1) {
        if (c == 'k')
            known_hosts = optarg;
        else if (c == 'j')
            j = strtoul(optarg, NULL, 10);
        else if (c == 'p')
            pool = true;
        else
            return 2;
    }
    if (argc - optind != 2 || !known_hosts || !j) {
        fprintf(stderr, "usage: floor -k KNOWN_HOSTS [-j IN-FLIGHT] [-p] SERVERS COMMAND\n");
        return 2;
    }
    command = argv[optind + 1];
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    ssh_init();
    ssh_set_log_level(SSH_LOG_NOLOG);
    read_known_hosts(known_hosts);
    read_servers(argv[optind]);
    run_threads(j < n_servers ? j : n_servers, pool);
    clock_gettime(CLOCK_MONOTONIC, &end);
    getrusage(RUSAGE_SELF, &use);
    printf("{\"ok\":%zu,\"of\":%zu,\"cpu_s\":%.6f,\"wall_s\":%.6f,\"max_rss_kb\":%ld}\n", (size_t)n_ok, n_servers,
           seconds(use.ru_utime) + seconds(use.ru_stime),
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9, use.ru_maxrss);
    return n_ok == n_servers ? 0 : 1;
}
