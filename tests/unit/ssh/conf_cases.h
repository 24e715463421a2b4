/* conf_cases.h: configurations, and hosts to ask them for: test_conf.c asks OpenSSH's own client the same. */
#ifndef CONF_CASES_H
#define CONF_CASES_H

struct conf_case {
    const char *config; /* DIR stands for the folder that the files are in */
    const char *hosts;  /* with blanks between them */
    const char *args;   /* for every one of the hosts; NULL: none */
};

static const struct conf_case conf_cases[] = {
    {"", "a 10.0.0.1 ::1 A.Example.ORG", NULL},
    {"# a comment\n\n   # another\nHost a\n  HostName b.example # why\n", "a b", NULL},
    /* separators and quotes */
    {"HostName=x\nPort = 2222\nUser  =  ops\n", "a", NULL},
    {"Host \"a\" 'b'\n\tHostName\t\"h.example\"\n\tUser \"the user\"\n", "a b c", NULL},
    {"hOsT a\nHOSTNAME h1\nport 1\n", "a b", NULL},
    {"Host=a b\nHostName=h1\n", "a b c", NULL},
    {"\"User\" ops\n", "a", NULL},
    {"User a\\\"b\nIdentityFile \"/k with/blank\"\nIdentityFile /x\\ y\n", "h", NULL},
    {"Host a\r\n  HostName crlf\r\n  Port 99\r\n", "a b", NULL},
    {"User ops   \t \f\n", "a", NULL},
    {"User 'it''s'\nHostName h\"o\"st\n", "a", NULL},
    /* Host */
    {"Host *.example !bad.example\n  User x\nHost *\n  User y\n", "a.example bad.example b", NULL},
    {"Host !a *\n  Port 1\n", "a b", NULL},
    {"Host !a\n  Port 1\n", "a b", NULL},
    {"Host a?c web0*\n  Port 7\n", "abc ac web01 web1 aXc", NULL},
    {"Host A\n  Port 7\n", "a A", NULL},
    {"Host a b\nHost c\n  User u\nHost a\n  Port 3\nHost a a\n  User late\n", "a b c", NULL},
    {"Host *a*b*c\n  Port 5\n", "xaxbxc abcabd aabbcc", NULL},
    {"Port 1\nHost a\n  Port 2\nHost *\n  Port 3\n", "a b", NULL},
    {"Host b\n  Port 2\nHost *\n  Port 3\n  User star\nHost b\n  User b\n", "a b", NULL},
    {"Host a,b\n  Port 5\n", "a b a,b", NULL},
    /* HostName */
    {"Host web\n  HostName %h.Example.ORG\nHost p\n  HostName 100%%\n", "web p", NULL},
    {"Host v6\n  HostName 2001:DB8:0::1\nHost v4\n  HostName 127.1\n", "v6 v4 ::0001 FE80::1", NULL},
    {"Host a\n  HostName Upper\n", "a", NULL},
    /* Match */
    {"Match host a\n  Port 1\nMatch host=b,c\n  Port 2\nMatch all\n  Port 3\n", "a b c d", NULL},
    {"Match !host a\n  Port 1\n", "a b", NULL},
    {"Host a\n  HostName real\nMatch host real\n  Port 5\nMatch originalhost a\n  User orig\n", "a real", NULL},
    {"Match host a,!b*,*x\n  Port 5\n", "a bx cx X", NULL},
    {"Match user ops\n  Port 5\nUser ops\nMatch user ops\n  IdentityFile /k\n", "a", NULL},
    {"Match user root\n  Port 5\nMatch user ops\n  Port 6\n", "a", "-l ops"},
    {"Match localuser root host a\n  Port 5\nMatch localuser nobody\n  Port 6\n", "a b", NULL},
    {"Match exec true\n  Port 5\nMatch exec \"test %h = b\"\n  User ops\n", "a b", NULL},
    {"Match exec \"test %n:%p:%r = a:22:root\"\n  User ops\nMatch !exec \"false\"\n  Port 9\n", "a b", NULL},
    {"Match host a exec \"exit 3\"\n  Port 5\nMatch host b exec \"test %k = b && test %u = root\"\n  Port 6\n", "a b", NULL},
    {"Match exec \"test %L = $(hostname -s) && test -n %l && test %i = $(id -u) && test %d = ~\"\n  Port 5\n", "a", NULL},
    {"Match final\n  Port 5\nHost a\n  Port 6\n", "a b", NULL},
    {"Match final host real\n  User f\nHost a\n  HostName REAL\nHost real\n  Port 7\n", "a real", NULL},
    {"Match canonical\n  Port 5\n", "a", NULL},
    {"Match !final\n  User first\nMatch final all\n  Port 5\n  HostName late\n", "a", NULL},
    {"Match host A\n  Port 5\n", "a A", NULL},
    {"Match host \"a\" user root # why\n  Port 5\n", "a b", NULL},
    {"Match originalhost a all\n  Port 5\n", "a b", NULL},
    {"MATCH HOST a\n  Port 5\n", "a b", NULL},
    /* files of keys */
    {"IdentityFile ~/.ssh/one\nIdentityFile /k/two\nHost a\n  IdentityFile /k/three\n  IdentityFile /k/two\n", "a b", NULL},
    {"IdentityFile none\n", "a", NULL},
    {"IdentityFile /one\n", "a", "-i DIR/inc1 -o IdentityFile=/half"},
    {"CertificateFile ~/c1\nCertificateFile /c2\nIdentitiesOnly yes\n", "a", NULL},
    {"IdentityAgent none\n", "a", NULL},
    {"IdentityAgent ~/agent.%h.%p\nPort 7\n", "a", NULL},
    {"IdentityAgent ${HOME}/agent\n", "a", NULL},
    {"IdentityAgent %d/%u/%i/%k/%l/%L/%n/%r/%C/%%\n", "a", NULL},
    /* proxies */
    {"Host a\n  ProxyJump bastion\nHost b\n  ProxyJump u@one:2222,two:22\nHost c\n  ProxyJump none\n", "a b c", NULL},
    {"ProxyJump none\nProxyJump b\nProxyCommand x\n", "a", NULL},
    {"ProxyCommand none\nProxyJump b\n", "a", NULL},
    {"ProxyJump b # why\nProxyCommand nc x\n", "a", NULL},
    {"ProxyCommand nc -x \"a b\" host 22 # kept\n", "a", NULL},
    {"ProxyCommand=connect host\nProxyJump b\n", "a", NULL},
    {"ProxyJump b\n", "a", "-o ProxyCommand=none"},
    {"ProxyJump b\nPort 5\n", "a", "-J c,d@e:7 -p 6"},
    {"ProxyCommand x\n", "a", "-J c"},
    {"ProxyJump u@x@h:1\nHost a\n", "a", NULL},
    {"Host a\n  ProxyJump [2001:db8::1]:22\n", "a", NULL},
    {"Host a\n  ProxyCommand nc h 1\nHost *\n  ProxyJump j\n", "a b", NULL},
    /* known hosts */
    {"UserKnownHostsFile ~/kh /etc/kh2\nGlobalKnownHostsFile /g1 \"/g 2\"\n", "a", NULL},
    {"UserKnownHostsFile none\nGlobalKnownHostsFile none\n", "a", NULL},
    {"UserKnownHostsFile ~/kh.%k.%h ${HOME}/x\nHostKeyAlias Alias\nHostName Real\n", "a", NULL},
    {"UserKnownHostsFile /1\nUserKnownHostsFile /2\n", "a", NULL},
    {"HostKeyAlias UPPER\n", "a", NULL},
    {"Host a\n  StrictHostKeyChecking yes\nHost b\n  StrictHostKeyChecking accept-new\nHost c\n  StrictHostKeyChecking off\n"
     "Host d\n  StrictHostKeyChecking ask\n", "a b c d", NULL},
    /* algorithms that both know */
    {"Ciphers aes256-ctr,aes128-ctr\nMACs hmac-sha2-512,hmac-sha2-256-etm@openssh.com\n"
     "KexAlgorithms curve25519-sha256,diffie-hellman-group14-sha256\n", "a", NULL},
    {"HostKeyAlgorithms rsa-sha2-512,ssh-ed25519\nPubkeyAcceptedAlgorithms ssh-ed25519\n", "a", NULL},
    {"PubkeyAcceptedKeyTypes rsa-sha2-256\nHostKeyAlgorithms ecdsa-sha2-nistp256\n", "a", NULL},
    {"Ciphers aes256-ctr\n", "a", "-c aes128-ctr -m hmac-sha2-256"},
    /* the rest */
    {"ServerAliveInterval 1m30s\nServerAliveCountMax 5\nConnectTimeout 1h\nConnectionAttempts 3\n", "a", NULL},
    {"ConnectTimeout none\nServerAliveInterval 0\n", "a", NULL},
    {"ConnectTimeout 1w2d3h4m5s\n", "a", NULL},
    {"AddressFamily inet6\nBindAddress 127.0.0.1\n", "a", NULL},
    {"AddressFamily any\n", "a", "-4 -b 127.0.0.2"},
    {"PreferredAuthentications publickey,password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n", "a", NULL},
    {"PubkeyAuthentication no\nChallengeResponseAuthentication no\n", "a", NULL},
    {"PubkeyAuthentication unbound\nDSAAuthentication no\n", "a", NULL},
    {"BatchMode yes\n", "a", NULL},
    {"BatchMode yes\nServerAliveInterval 7\n", "a", NULL},
    {"Port ssh\n", "a", NULL},
    {"IgnoreUnknown UseKeychain,Foo*\nUseKeychain yes\nFooBar 1 2 3\nPort 5\n", "a", NULL},
    /* what does not matter here */
    {"HashKnownHosts yes\nSendEnv LANG LC_*\nGSSAPIAuthentication yes\nForwardAgent yes\nControlMaster auto\n"
     "ControlPath ~/.ssh/%C\nControlPersist 10m\nLocalForward 1234 localhost:80\nCompression yes\nLogLevel ERROR\n"
     "TCPKeepAlive no\nRekeyLimit 1G 1h\nVisualHostKey yes\nProtocol 2\nPort 6\n", "a", NULL},
    /* Include */
    {"Include DIR/inc1\nPort 9\n", "a b", NULL},
    {"Host a\n  Include DIR/inc1\nHost *\n  User star\n", "a b", NULL},
    {"Include DIR/none-such DIR/inc*\n", "a b", NULL},
    {"Host b\n  Include \"DIR/inc1\" DIR/inc2\n  Port 44\n", "a b", NULL},
    {"Host a\n  Include DIR/inc3\n  User here\n", "a b", NULL},
    {"Match host a\n  Include DIR/inc3\nMatch all\n  User here\n", "a b", NULL},
    /* the command line */
    {"Port 5\nUser file\nHostName real\n", "a", "-p 6 -l me -o 'IdentityFile /k'"},
    {"User file\n", "a", "-o User=other -oPort=77 -4A -C -o \"UserKnownHostsFile=/x /y\""},
    {"User file\n", "a", "-F none -o 'HostName x'"},
    {"", "a", "-o 'ProxyCommand nc %h'"},
    /* what ssh refuses */
    {"Port 5\nNoSuchOption yes\n", "a", NULL},
    {"Host b\n  NoSuchOption yes\n", "a", NULL},
    {"Port 0\n", "a", NULL},
    {"Port 65536\n", "a", NULL},
    {"Host b\n Port many\n", "a", NULL},
    {"User\n", "a", NULL},
    {"User a b\n", "a", NULL},
    {"User \"a\n", "a", NULL},
    {"ConnectTimeout soon\n", "a", NULL},
    {"ConnectTimeout 5x\n", "a", NULL},
    {"IdentitiesOnly maybe\n", "a", NULL},
    {"StrictHostKeyChecking sometimes\n", "a", NULL},
    {"AddressFamily inet5\n", "a", NULL},
    {"Match\n", "a", NULL},
    {"Match nothing\n", "a", NULL},
    {"Match host\n", "a", NULL},
    {"Match all host a\n", "a", NULL},
    {"Match host a user root all\n", "a", NULL},
    {"ProxyJump @h\n", "a", NULL},
    {"ProxyJump h:0\n", "a", NULL},
    {"ProxyJump a,,b\n", "a", NULL},
    {"UserKnownHostsFile none /x\n", "a", NULL},
    {"UserKnownHostsFile \"\"\n", "a", NULL},
    {"HostName %n\n", "a", NULL},
    {"IdentityAgent ${NO_SUCH_VARIABLE_HERE}\n", "a", NULL},
    {"IdentityAgent $a-b\n", "a", NULL},
    {"ConnectionAttempts 0\n", "a", NULL},
    {"ConnectionAttempts few\n", "a", NULL},
    {"Include DIR/bad\n", "a", NULL},
    {"Host \"\"\n", "a", NULL},
    {"Include DIR/loop\n", "a", NULL},
    {"", "a", "-o 'Host x'"},
    {"", "a", "-o NoSuchOption=1"},
    {"", "a", "-p 0"},
    /* names from outside that a shell would take for more */
    {"", "a{b a}b", NULL},
    {"", "a", "-l 'x;y'"},
    {"", "a", "-l 'x|y'"},
    {"", "a", "-l -x"},
    {"", "a", "-l 'x -y'"},
    {"", "a", "-l 'x y'"},
    {"", "a", "-l 'x$y'"},
    {"User a;b\nHostName c;d\n", "a", NULL},
};

/* The files that those name. */
static const struct {
    const char *name, *text;
} conf_files[] = {
    {"inc1", "Host a\n  Port 31\nHost b\n  Port 32\n"},
    {"inc2", "User inc2\nIdentityFile /inc2\n"},
    {"inc3", "User first\nHost b\n  Port 33\nHost *\n  HostName deep\n  Include DIR/inc4\n"},
    {"inc4", "Match host deep\n  Port 34\n"},
    {"bad", "Port 5\nPort x\n"},
    {"loop", "Include DIR/loop\n"},
};

#endif
