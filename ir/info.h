/*
 * ir/info.h - what LAPACK's info says where a matrix has no factors: 0, or the step, from 1, that failed.
 *
 * The operator check_info holds such numbers to 0: PyTorch raises otherwise. Its second argument is which function of PyTorch's
 * asked, and so why. Reference and executor share the sentences, and nothing else.
 */
#ifndef JC_INFO_H
#define JC_INFO_H

#include <stdint.h>

#include "base/error.h"

#define JC_INFO_COUNT 11
/* Which function NAME is, as PyTorch names it in errors ("linalg.inv"); -1: none of them. */
int jc_info_kind(const char *name);
/* JITC_E_INPUT: matrix ELEMENT of a stack (-1: it is the only one) has INFO, which is not 0. */
jitc_status jc_info_fail(int64_t kind, int64_t element, int64_t info, jc_error *err);

#endif
