/* transfer_script.h: what the server runs for a transfer. POSIX sh and the GNU tools of any Debian.
 *
 * Owner: static text. Thread: any. Must not know: who sends it.
 */
#ifndef MU_RUN_TRANSFER_SCRIPT_H
#define MU_RUN_TRANSFER_SCRIPT_H

#define MU_TRANSFER_COMMON \
    "fail() { printf 'muster: %s\\n' \"$*\" >&2; exit 66; }\n" \
    "command -v sha256sum >/dev/null 2>&1 || fail 'the server has no sha256sum: install it (Debian package coreutils)'\n"

/* To $1: the bytes, then 65 more, the checksum and a newline. $2: permissions, or empty. */
static const char mu_transfer_send_script[] =
    "D=$1 M=$2\n"
    MU_TRANSFER_COMMON
    "case $D in */*) P=${D%/*}/;; *) P=./;; esac\n"
    "[ -d \"$P\" ] || fail \"there is no folder $P on the server\"\n"
    "[ ! -L \"$D\" ] || fail 'it is a symbolic link there: name the file that it points to'\n"
    "[ ! -d \"$D\" ] || fail 'it is a folder there: name a file in it'\n"
    "[ ! -e \"$D\" ] || [ -f \"$D\" ] || fail 'it is no plain file there'\n"
    "T=$(mktemp \"$P.muster.XXXXXXXX\" 2>&1) || fail \"$T\"\n"
    "trap 'rm -f -- \"$T\"' EXIT\n"
    "trap 'exit 1' HUP INT TERM PIPE\n"
    "E=$(cat 2>&1 >\"$T\") || fail \"${E:-writing was cut off}\"\n"
    "n=$(($(wc -c <\"$T\") - 65))\n"
    "[ $n -ge 0 ] || fail 'the transfer was cut off'\n"
    "W=$(tail -c 65 <\"$T\" | tr -d '\\0')\n"
    "E=$(dd if=/dev/null of=\"$T\" bs=1 seek=$n 2>&1) || fail \"$E\"\n"
    "H=$(sha256sum <\"$T\")\n"
    "[ \"${H%% *}\" = \"$W\" ] || fail 'the checksum differs from that of what was sent: the transfer was cut off, or damaged'\n"
    "if [ -n \"$M\" ]; then chmod \"$M\" \"$T\" || exit\n"
    "elif [ -e \"$D\" ]; then\n"
    "  chown \"$(stat -c %u:%g -- \"$D\")\" \"$T\" 2>/dev/null\n"
    "  chmod \"$(stat -c %a -- \"$D\")\" \"$T\" || exit\n"
    "else chmod \"$(printf %o $((0666 & ~$(umask))))\" \"$T\" || exit\n"
    "fi\n"
    "E=$(mv -f -- \"$T\" \"$D\" 2>&1) || fail \"$E\"\n"
    "trap - EXIT\n";

/* From $1: the bytes on standard output; permissions and checksum on standard error. */
static const char mu_transfer_receive_script[] =
    "F=$1\n"
    MU_TRANSFER_COMMON
    "[ ! -d \"$F\" ] || fail 'it is a folder there'\n"
    "[ -e \"$F\" ] || { [ -L \"$F\" ] && fail 'it is a symbolic link to nothing there'; fail 'there is no such file on the server'; }\n"
    "[ -f \"$F\" ] || fail 'it is no plain file there'\n"
    "[ -r \"$F\" ] || fail 'the user may not read it there'\n"
    "printf 'muster-mode %s\\n' \"$(stat -L -c %a -- \"$F\")\" >&2\n"
    "exec 4>&1\n"
    "H=$({ tee /dev/fd/3 <\"$F\" 3>&1 1>&4 4>&- || echo muster-failed >&2; } | sha256sum)\n"
    "printf 'muster-sha256 %s\\n' \"${H%% *}\" >&2\n";

#endif
