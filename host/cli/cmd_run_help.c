#include "command.h"
#include "run_table.h"

void cmd_run_help(FILE *to)
{
    fputs("Usage: muster run [OPTION...] SCRIPT [SERVER...]\n"
          "\n"
          "Run SCRIPT against every server at once, and end with one summary that names\n"
          "each server that failed and why.\n"
          "\n"
          "SERVER is an id or a group of the inventory; or a pattern that chooses from it:\n"
          "glob 'web*', node set 'srv[01-10]', 'web:&rack1:!web3', '~regex', 'web[0:4]',\n"
          "@file; see docs/patterns.md; or else a host: name, user@name:port,\n"
          "[IPv6]:port. With no SERVER: all of the inventory. A host with a port gets the\n"
          "id host-port.\n",
          to);
    cli_options_help(to, run_table);
    fputs("\n"
          "Exit code, the first that applies:\n"
          "  2         usage, inventory or script error, or the script's before_all did not\n"
          "            work: nothing ran\n"
          "  130, 143  interrupted: by SIGINT; by SIGTERM or SIGHUP\n"
          "  4         a server could not be marked as broken, or none was since too many\n"
          "            failed, or an installation was left behind: see the summary\n"
          "  1         at least one server failed\n"
          "  3         none failed, but some could not be measured, or the script's\n"
          "            after_all did not work\n"
          "  0         all passed (2 when a report could not be written)\n"
          "The first interrupt ends the run in good order: no new servers, teardowns within\n"
          "--grace, results so far kept and printed. The second ends it at once.\n"
          "\n"
          "Examples:\n"
          "  muster run scripts/cpu.lua web01.example.com\n"
          "  muster run scripts/cpu.lua -i fleet.json -j 200 --junit cpu.xml\n"
          "  muster run scripts/cpu.lua -i fleet.json -p seconds=30 'srv[1-99]' '!srv13'\n"
          "  muster run scripts/cpu.lua ops@10.0.0.5:2222 --key ~/.ssh/id_ops\n"
          "  muster run scripts/cpu.lua --local\n"
          "  muster run scripts/burnin.lua -i fleet.json -s 'cpu,mem*'\n"
          "  muster run scripts/cpu.lua -i fleet.json --limit 'web:&rack1' --list-hosts\n",
          to);
}
