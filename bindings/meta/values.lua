---@meta _
-- Tables that functions of muster.lua take and give.

---@class muster.RetryOptions
---@field times? integer tries in all, 3 when not given
---@field backoff? number|string pause after the first, 1 s when not given; doubles each time, a half of it random
---@field max? number|string the longest pause, 30 s when not given
---@field on? string[]|fun(err: any): boolean which errors: types of muster.errors, or what the function says. Any when
---  not given

---@class muster.FileOptions
---@field mode? string permissions in octal, "0644". When not given: the source's; for write_file those of what is
---replaced, else as the umask says
---@field timeout? number|string then TimeoutError
---@field sudo? boolean as root on the server, as for exec

---@class muster.FileResult
---@field bytes integer
---@field sha256 string
---@field dry_run? boolean true when nothing was done, in a dry run

---@class muster.Facts
---@field kernel? string "6.1.0-18-amd64"
---@field arch? string "x86_64"
---@field hostname? string
---@field virtualization? string "none", "kvm", "vmware", "docker", …; "vm": of some kind
---@field memory? integer bytes
---@field distribution { id?: string, version?: string, name?: string } "debian", "12", "Debian GNU/Linux 12 (bookworm)"
---@field cpu { model?: string, cores?: integer, threads?: integer }
---@field gpus muster.Gpu[] PCI display controllers; without PCI in /sys, what nvidia-smi lists
---@field dry_run? boolean true when it was not asked, in a dry run

---@class muster.Gpu
---@field name string as lspci says; where there is none "vendor:device"
---@field address? string "0000:01:00.0"
---@field vendor? string "10de"
---@field device? string
---@field driver? string of the kernel
