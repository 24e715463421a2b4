/* api_test.c: tests of scripts, through muster.h. */
#include "api_internal.h"

#include "bindings/tool.h"

int muster_test(struct muster *m, const struct muster_test_options *options, bool *passed, struct muster_error *err)
{
    const struct muster_test_options defaults = MUSTER_TEST_OPTIONS_INIT;
    const struct muster_test_options *o = options && options->size >= sizeof defaults ? options : &defaults;
    struct mu_tool_test test = {
        .paths = o->paths, .output = o->output, .filter = o->filter, .list = o->list, .shuffle = o->shuffle};
    struct mu_err e = {0};
    struct mu_tool *tool = NULL;
    int rc = m->library_dir ? mu_tool_new(&tool, m->library_dir, &e)
                            : mu_err_set(&e, MU_ENOENT, "the standard scripts, which hold what runs tests, are not there");
    if (!rc)
        rc = mu_tool_test(tool, &test, passed, &e);
    mu_tool_free(tool);
    return mu_api_give_result(err, rc, &e);
}
