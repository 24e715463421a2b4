/* What is a URL of a database; and the answer to one where there is no libpq (else store_postgres.c has it). */
#include <string.h>

#include "results/store_db.h"

bool mu_db_is_url(const char *where)
{
    return !strncmp(where, "postgresql:", 11) || !strncmp(where, "postgres:", 9);
}

/* Without libpq it is not told what is a password: whatever stands before an @ may have one, and so may parameters. */
const char *mu_db_url_shown(const char *url)
{
    return strpbrk(url, "@?") ? "postgresql://\xe2\x80\xa6" : url;
}

#ifndef MUSTER_POSTGRES

int mu_postgres_open(struct mu_db **out, const char *url, bool create, struct mu_err *err)
{
    (void)url;
    (void)create;
    *out = NULL;
    return mu_err_set(err, MU_EINVAL, "this muster was built without libpq, so that it cannot reach PostgreSQL: install libpq-dev and "
                      "build it again, or name a file");
}

#endif
