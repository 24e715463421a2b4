-- Servers of an inventory of Ansible's, reached over real SSH by what it says of their connections.
local T = require "muster_test"

describe("an inventory of Ansible's", function()
  it("says how its servers are reached", function()
    local fleet = T.fleet_start(2)
    local one, two = fleet.servers.srv01, fleet.servers.srv02
    local dir = T.tmpdir()
    T.write(dir .. "/hosts", ([[
[web]
one:%d  ansible_host=%s
two  ansible_port=%d  ansible_host="{{ where }}"  where=%s
here ansible_connection=local
[web:vars]
ansible_user="{{ login }}"
]]):format(one.port, one.address, two.port, two.address))
    assert(os.execute("mkdir " .. T.quote(dir .. "/group_vars")))
    T.write(dir .. "/group_vars/web.yml", ("login: %s\nansible_ssh_private_key_file: %s\n"):format(one.user, one.key))
    local result = T.run_script([[
      return { steps = { { name = "s", run = function(server)
        print(server:exec("echo over ${SSH_CONNECTION:+SSH}").stdout, server.user)
      end } } }]], { args = { "-i", dir, "--known-hosts", fleet.known_hosts, "--no-agent" } })
    local logs = {}
    for _, server in ipairs(result.results.servers) do
      assert.equals("passed", server.status, result.stderr)
      logs[server.id] = server.steps[1].log
    end
    assert.same({ one = "over SSH\n\t" .. one.user .. "\n", two = "over SSH\n\t" .. one.user .. "\n",
      here = "over\n\t" .. one.user .. "\n" }, logs)
  end)
end)
