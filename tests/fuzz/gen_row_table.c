/*
 * tests/fuzz/gen_row_table.c - rows.def as a table, and the functions that its rows name.
 */
#include "tests/fuzz/gen_row.h"

#include <math.h>
#include <string.h>

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double zlog(double x, double y) { return x == 0 ? 0 : x * log(y); }

/* of one */
static double f_tanhshrink(const double *x) { return x[0] - tanh(x[0]); }
static double f_softshrink(const double *x) { return x[0] > 0.5 ? x[0] - 0.5 : x[0] < -0.5 ? x[0] + 0.5 : 0; }
static double f_rrelu(const double *x) { return x[0] >= 0 ? x[0] : x[0] * (1.0 / 8 + 1.0 / 3) / 2; }
static double f_elu2(const double *x) { return x[0] > 0 ? x[0] * 2 : 3 * expm1(0.5 * x[0]); }
static double f_elu_half(const double *x) { return x[0] > 0 ? x[0] : 0.5 * expm1(x[0]); }
static double f_celu2(const double *x) { return x[0] > 0 ? x[0] : 2 * expm1(x[0] / 2); }
static double f_leaky4(const double *x) { return x[0] > 0 ? x[0] : 0.25 * x[0]; }
static double f_logsigmoid(const double *x) { return fmin(x[0], 0) - log1p(exp(-fabs(x[0]))); }
static double f_rad2deg(const double *x) { return x[0] * 57.29577951308232; }
static double f_angle(const double *x) { return x[0] < 0 ? 3.141592653589793 : 0; }
static double f_negative(const double *x) { return -x[0]; }
static double f_erf(const double *x) { return erf(x[0]); }
static double f_erfc(const double *x) { return erfc(x[0]); }
static double f_exp2(const double *x) { return exp2(x[0]); }
static double f_expm1(const double *x) { return expm1(x[0]); }
static double f_log1p(const double *x) { return log1p(x[0]); }
static double f_expit(const double *x) { return sigmoid(x[0]); }
static double f_acos(const double *x) { return acos(x[0]); }
static double f_acosh(const double *x) { return acosh(x[0]); }
static double f_asin(const double *x) { return asin(x[0]); }
static double f_asinh(const double *x) { return asinh(x[0]); }
static double f_atanh(const double *x) { return atanh(x[0]); }
static double f_power(const double *x) { return pow(x[0], 2.5); }
static double f_softplus2(const double *x) { return log1p(exp(2 * x[0])) / 2; }
/* Nearly, which will do for its range. */
static double f_erfinv(const double *y) {
    const double l = log(1 - y[0] * y[0]), a = 2 / (3.14159265358979323846 * 0.147) + l / 2;
    return copysign(sqrt(sqrt(a * a - l / 0.147) - a), y[0]);
}
/* of two */
static double f_glu(const double *x) { return x[0] * sigmoid(x[1]); }
static double f_xlogy(const double *x) { return zlog(x[0], x[1]); }
static double f_xlog1py(const double *x) { return x[0] == 0 ? 0 : x[0] * log1p(x[1]); }
static double f_logaddexp(const double *x) { return fmax(x[0], x[1]) + log1p(exp(-fabs(x[0] - x[1]))); }
static double f_logaddexp2(const double *x) { return fmax(x[0], x[1]) + log2(1 + exp2(-fabs(x[0] - x[1]))); }
static double f_ldexp(const double *x) { return x[0] * exp2(x[1]); }
static double f_pow(const double *x) { return pow(x[0], x[1]); }
static double f_atan2(const double *x) { return atan2(x[0], x[1]); }
static double f_quotient(const double *x) { return x[0] / x[1]; }
static double f_prelu(const double *x) { return x[0] > 0 ? x[0] : x[0] * x[1]; }
static double f_lerp4(const double *x) { return x[0] + 0.25 * (x[1] - x[0]); }
static double f_plus_3(const double *x) { return x[0] + 3 * x[1]; }
static double f_rsub_3(const double *x) { return x[1] - 3 * x[0]; }
static double f_less_half(const double *x) { return x[0] - 0.5 * x[1]; }
/* losses */
static double f_square_apart(const double *x) { return (x[0] - x[1]) * (x[0] - x[1]); }
static double f_apart(const double *x) { return fabs(x[0] - x[1]); }
static double smooth(double z, double beta) { return z < beta ? 0.5 * z * z / beta : z - 0.5 * beta; }
static double f_smooth(const double *x) { return smooth(fabs(x[0] - x[1]), 1); }
static double f_smooth_half(const double *x) { return smooth(fabs(x[0] - x[1]), 0.5); }
static double f_huber(const double *x) { return smooth(fabs(x[0] - x[1]), 1); }
static double f_huber_half(const double *x) { return 0.5 * smooth(fabs(x[0] - x[1]), 0.5); }
static double f_bce(const double *x) { return -(zlog(x[1], x[0]) + zlog(1 - x[1], 1 - x[0])); }
static double f_bce_logits(const double *x) { return (1 - x[1]) * x[0] + log1p(exp(-fabs(x[0]))) + fmax(-x[0], 0); }
static double f_kl(const double *x) { return zlog(x[1], x[1]) - x[1] * x[0]; }
static double f_kl_log(const double *x) { return exp(x[1]) * (x[1] - x[0]); }
static double f_margin(const double *x) { return fmax(-x[2] * (x[0] - x[1]) + 0.5, 0); }
static double f_hinge(const double *x) { return x[1] == 1 ? x[0] : fmax(1 - x[0], 0); }
static double f_soft_margin(const double *x) { return log1p(exp(-x[0] * x[1])); }
static double f_poisson(const double *x) { return exp(x[0]) - x[1] * x[0]; }
/* of more */
static double f_lerp(const double *x) { return x[0] + x[2] * (x[1] - x[0]); }
static double f_addcdiv(const double *x) { return x[0] + 0.5 * x[1] / x[2]; }
static double f_addcmul(const double *x) { return x[0] + 0.5 * x[1] * x[2]; }
static double f_fma(const double *x) { return x[0] * x[1] + x[2]; }
static double f_bce_weighed(const double *x) { return f_bce(x) * x[2]; }
static double f_batch_norm(const double *x) { return (x[0] - x[1]) / sqrt(x[2] + 1e-5); }
static double f_batch_norm_w(const double *x) { return (x[0] - x[1]) / sqrt(x[2] + 1e-5) * x[3] + x[4]; }
/* weights before statistics */
static double f_batch_norm_n(const double *x) { return (x[0] - x[3]) / sqrt(x[4] + 1e-5) * x[1] + x[2]; }

const fz_row fz_rows[] = {
#define ROW(name, forms, operands, rest, when, results, fact, k, rough, f) { name, forms, operands, rest, when, results, fz_##fact, k, rough, f },
#include "tests/fuzz/rows.def"
#undef ROW
};
const int fz_nrows = (int)(sizeof fz_rows / sizeof *fz_rows);
