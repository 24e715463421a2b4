/* server:facts(): what a server says of itself, asked once a task. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/call.h"
#include "bindings/open.h"
#include "run/messages.h"
#include "run/task.h"

#define OUTPUT_MAX 65536

/* Lines name=value, on any Linux with a POSIX sh; what a small system lacks is left out. It goes to sh by standard input,
 * whatever the login shell is. Two things are told by one file each: threads that share a core name the same siblings. */
static const char script[] =
    "export LC_ALL=C\n"
    "exec 2>/dev/null\n"
    "say() { [ -z \"$2\" ] || printf '%s=%s\\n' \"$1\" \"$2\"; }\n"
    "first() { sed -n \"$1\" \"$2\" | head -n 1; }\n"
    "say kernel \"$(uname -r)\"\n"
    "say arch \"$(uname -m)\"\n"
    "say hostname \"$(uname -n)\"\n"
    "for f in /etc/os-release /usr/lib/os-release; do\n"
    "  [ -r $f ] && ( . $f; say distribution.id \"$ID\"; say distribution.version \"$VERSION_ID\"; "
    "say distribution.name \"$PRETTY_NAME\" ) && break\n"
    "done\n"
    "m=$(first 's/^model name[[:space:]]*: *//p' /proc/cpuinfo)\n"
    "[ -n \"$m\" ] || m=$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)\n"
    "say cpu.model \"$m\"\n"
    "t=$(getconf _NPROCESSORS_ONLN) || t=$(grep -c '^processor' /proc/cpuinfo)\n"
    "say cpu.threads \"$t\"\n"
    "c=$(cat /sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list | sort -u | wc -l)\n"
    "[ \"$c\" -gt 0 ] || c=$t\n"
    "say cpu.cores \"$c\"\n"
    "say memory \"$(first 's/^MemTotal: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo)\"\n"
    "g=\n"
    "for d in /sys/bus/pci/devices/*; do\n"
    "  read -r class <$d/class || continue\n"
    "  case $class in 0x03*) ;; *) continue;; esac\n"
    "  read -r vendor <$d/vendor; read -r device <$d/device\n"
    "  driver=$(readlink $d/driver); name=$(lspci -D -s ${d##*/} | sed 's/^[^ ]* [^:]*: *//')\n"
    "  g=1; driver=${driver##*/}\n"
    "  say gpu \"${d##*/} ${vendor#0x} ${device#0x} ${driver:--} $name\"\n"
    "done\n"
    "[ -n \"$g\" ] || nvidia-smi --query-gpu=pci.bus_id,name --format=csv,noheader | while IFS=, read -r a n; do\n"
    "  say gpu \"$a 10de - nvidia ${n# }\"\n"
    "done\n"
    "v=$(systemd-detect-virt)\n"
    "[ -n \"$v\" ] || { [ -e /.dockerenv ] && v=docker; }\n"
    "[ -n \"$v\" ] || { [ -e /run/.containerenv ] && v=podman; }\n"
    "[ -n \"$v\" ] || case $(cat /sys/class/dmi/id/sys_vendor) in\n"
    "  QEMU*) v=kvm;; VMware*) v=vmware;; Xen*) v=xen;; innotek*) v=oracle;; 'Microsoft Corporation') v=microsoft;;\n"
    "  'Amazon EC2') v=amazon;; Google*) v=google;; esac\n"
    "[ -n \"$v\" ] || { grep -q '^flags.* hypervisor' /proc/cpuinfo && v=vm; }\n"
    "say virtualization \"${v:-none}\"\n"
    "echo end=1\n";

static void set_number(lua_State *L, int table, const char *name, const char *value, lua_Integer factor)
{
    char *end;
    long long n = strtoll(value, &end, 10);
    if (end == value || *end || n < 0 || n > INT64_MAX / factor)
        return; /* a server that tells nonsense tells nothing */
    lua_pushinteger(L, n * factor);
    lua_setfield(L, table, name);
}

/* "address vendor device driver name"; "-": not known. */
static void add_gpu(lua_State *L, int facts, const char *value)
{
    static const char *const names[] = {"address", "vendor", "device", "driver"};
    lua_getfield(L, facts, "gpus");
    lua_createtable(L, 0, 5);
    for (int i = 0; i < 4; i++) {
        size_t n = strcspn(value, " ");
        if (n && !(n == 1 && *value == '-')) {
            lua_pushlstring(L, value, n);
            lua_setfield(L, -2, names[i]);
        }
        value += n + (value[n] == ' ');
    }
    if (*value) {
        lua_pushstring(L, value);
    } else {
        lua_getfield(L, -1, "vendor");
        lua_pushliteral(L, ":");
        lua_getfield(L, -3, "device");
        if (lua_isnil(L, -1) || lua_isnil(L, -3)) {
            lua_pop(L, 3);
            lua_pushliteral(L, "unknown");
        } else {
            lua_concat(L, 3);
        }
    }
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* One line, NUL-terminated, into the table at index facts. */
static void add_line(lua_State *L, int facts, const char *line)
{
    static const char *const plain[] = {"kernel", "arch", "hostname", "virtualization"};
    const char *value = strchr(line, '=');
    if (!value++)
        return;
    size_t n = (size_t)(value - 1 - line);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strlen(plain[i]) == n && !memcmp(plain[i], line, n)) {
            lua_pushstring(L, value);
            lua_setfield(L, facts, plain[i]);
        }
    }
    if (!strncmp(line, "distribution.", 13)) {
        lua_getfield(L, facts, "distribution");
        lua_pushlstring(L, line + 13, n - 13);
        lua_pushstring(L, value);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else if (!strncmp(line, "cpu.", 4)) {
        lua_getfield(L, facts, "cpu");
        if (!strncmp(line, "cpu.model=", 10)) {
            lua_pushstring(L, value);
            lua_setfield(L, -2, "model");
        } else {
            set_number(L, lua_gettop(L), !strncmp(line, "cpu.cores=", 10) ? "cores" : "threads", value, 1);
        }
        lua_pop(L, 1);
    } else if (!strncmp(line, "memory=", 7)) {
        set_number(L, facts, "memory", value, 1024);
    } else if (!strncmp(line, "gpu=", 4)) {
        add_gpu(L, facts, value);
    }
}

static void push_empty(lua_State *L)
{
    static const char *const tables[] = {"distribution", "cpu", "gpus"};
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        lua_newtable(L);
        if (!strcmp(tables[i], "gpus"))
            mu_bind_mark_array(L);
        lua_setfield(L, -2, tables[i]);
    }
}

static int told(lua_State *L, struct mu_call *c)
{
    const struct mu_exec_result *r = mu_call_result(c);
    if (!r || c->error.code)
        return mu_bind_call_raise(L, c);
    push_empty(L);
    int facts = lua_gettop(L);
    if (c->dry) {
        lua_pushboolean(L, 1);
        lua_setfield(L, facts, "dry_run");
        return 1;
    }
    if (r->exit_status != 0 || r->out.len < 6 || memcmp(r->out.data + r->out.len - 6, "end=1\n", 6) != 0) {
        mu_call_close(c);
        mu_bind_push_error(L, "CommandError", "facts: no answer",
                           "facts: the server did not answer as a Linux with a POSIX sh would");
        return lua_error(L);
    }
    const char *line = mu_buf_cstr(&r->out), *end = line + r->out.len;
    for (const char *newline; line < end && (newline = memchr(line, '\n', (size_t)(end - line))); line = newline + 1) {
        lua_pushlstring(L, line, (size_t)(newline - line));
        add_line(L, facts, lua_tostring(L, -1));
        lua_settop(L, facts);
    }
    lua_pushvalue(L, facts);
    mu_task_set_slot(L, c->task, mu_task_slot(c->remote, MU_SLOT_FACTS));
    mu_bind_push_json(L);
    mu_post_facts(c->task, c->remote->index, lua_tostring(L, -1));
    lua_settop(L, facts);
    return 1;
}

int mu_bind_facts(lua_State *L)
{
    static const struct mu_exec_request req = {
        .command = "exec sh", .input = script, .input_len = sizeof script - 1, .limit = OUTPUT_MAX, .label = "facts"};
    struct mu_remote *r = mu_bind_check_server(L);
    mu_fiber_check(L);
    mu_task_push_slot(L, r->task, mu_task_slot(r, MU_SLOT_FACTS));
    if (!lua_isnil(L, -1))
        return 1;
    lua_settop(L, 1);
    return mu_bind_call_exec(L, &req, &(struct mu_bind_call_options){.remote = r}, told);
}

/* ---- groups ---- */

/* "a, b" at index; each word is appended to the table on top. */
static void add_words(lua_State *L, const char *text)
{
    static const char between[] = ", \t";
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        size_t n = strcspn(text, between);
        lua_pushlstring(L, text, n);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        text += n;
    }
}

void mu_bind_push_groups(lua_State *L, int vars)
{
    int type = lua_getfield(L, vars, "groups"), groups = lua_gettop(L);
    lua_newtable(L);
    mu_bind_mark_array(L);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_words(L, lua_tostring(L, groups));
    } else if (type == LUA_TTABLE) {
        for (lua_Integer i = 1; lua_rawgeti(L, groups, i) != LUA_TNIL; i++) {
            if (!lua_isstring(L, -1))
                luaL_error(L, "the variable groups is to be a list of names, or text \"a,b\": [%d] is a %s", (int)i,
                           luaL_typename(L, -1));
            lua_tostring(L, -1);
            lua_rawseti(L, -2, i);
        }
        lua_pop(L, 1);
    } else if (type != LUA_TNIL) {
        luaL_error(L, "the variable groups is to be a list of names, or text \"a,b\", not a %s", lua_typename(L, type));
    }
    lua_remove(L, groups);
}
