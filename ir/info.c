/*
 * ir/info.c - sentences for matrices without factors.  See info.h.
 */
#include "ir/info.h"

#include <stdio.h>
#include <string.h>

/* Around the number of the step. */
#define NOT_POSITIVE "the factorization could not be completed, since the input is not positive-definite: its leading minor of order", "is not"
#define NO_INVERSE "the inversion could not be completed, since the input matrix is singular: the diagonal element", "is zero"
#define NO_SOLUTION "the solver failed, since the input matrix is singular: the diagonal element", "is zero"
#define NO_PIVOT "lu_solve would divide by zero: of U, the diagonal element", "is zero. Use linalg.lu or linalg.lu_factor_ex for such factors"

static const struct {
    const char *name, *why, *what;
} kinds[JC_INFO_COUNT] = {
    { "linalg.cholesky", NOT_POSITIVE },      { "cholesky", NOT_POSITIVE },           { "linalg.cholesky_ex", NOT_POSITIVE },   { "linalg.inv", NO_INVERSE },
    { "linalg.inv_ex", NO_INVERSE },          { "inv", NO_INVERSE },                  { "cholesky_inverse", NO_INVERSE },       { "torch.linalg.solve", NO_SOLUTION },
    { "torch.linalg.solve_ex", NO_SOLUTION }, { "torch.linalg.lu_factor", NO_PIVOT }, { "torch.linalg.lu_factor_ex", NO_PIVOT },
};

int jc_info_kind(const char *name) {
    for (int k = 0; k < JC_INFO_COUNT; k++)
        if (strcmp(kinds[k].name, name) == 0)
            return k;
    return -1;
}

jitc_status jc_info_fail(int64_t kind, int64_t element, int64_t info, jc_error *err) {
    char which[48] = "";
    if (kind < 0 || kind >= JC_INFO_COUNT)
        return jc_fail(err, JITC_E_INPUT, "Expected a number below %d for what factors are of, got %lld.", JC_INFO_COUNT, (long long)kind);
    if (element >= 0)
        snprintf(which, sizeof which, "(batch element %lld) ", (long long)element);
    return jc_fail(err, JITC_E_INPUT, "%s: %s%s %lld %s.", kinds[kind].name, which, kinds[kind].why, (long long)info, kinds[kind].what);
}
