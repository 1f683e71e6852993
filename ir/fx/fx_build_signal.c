/*
 * ir/fx/fx_build_signal.c - spectra over time: torch.stft and torch.istft, of a signal cut into frames.
 *
 * What they compute is text (definitions.def: stft_..., istft_...); here arguments become what that takes: numbers, a window, the name of a norm.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

enum { N_FFT = 1, HOP, LENGTH, WINDOW, CENTER };

/* A positive constant, argument I; OTHERWISE where it is not given. */
static int64_t positive(fx_call *c, int i, int64_t otherwise) {
    const int64_t n = fx_int(c, i, otherwise);
    if (n < 1 && !c->r->status)
        fx_bad_arg(c, i, "an integer above 0");
    c->a[i] = fx_i(c->r, n);
    return n;
}

/* Frames, steps and window of both; argument NORMALIZED becomes the name of a norm. */
static bool has_frames(fx_call *c, int normalized, jc_dtype dtype) {
    fx_reader *r = c->r;
    const int64_t n = positive(c, N_FFT, 0);
    if (r->status)
        return false;
    positive(c, HOP, n / 4 ? n / 4 : 1);
    const int64_t length = positive(c, LENGTH, n);
    const jc_expr *dim = jc_ex_int(fx_x(r), length);
    if (length > n && !r->status)
        fx_bad_arg(c, LENGTH, "no more than n_fft");
    if (!fx_given(c, WINDOW))
        c->a[WINDOW] = fx_v(FX_OP(r, JC_OP_full, fx_dims(r, &dim, 1), fx_i(r, 1), jc_arg_dtype(dtype)));
    const jc_value *w = fx_tensor(c, WINDOW);
    if (w && !r->status && (fx_rank(w) != 1 || jc_ex_equal(fx_x(r), w->type.dims[0], dim) == JC_NO || fx_class_of(w) != 'f'))
        fx_bad_arg(c, WINDOW, "win_length real numbers");
    c->a[normalized] = (jc_arg){ .kind = JC_ARG_STR, .str = fx_bool(c, normalized, false) ? "ortho" : "backward" };
    return !r->status;
}

/* stft(self, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided, return_complex, align_to_window) */
jc_arg fx_h_stft(fx_call *c) {
    fx_reader *r = c->r;
    if (c->a[0].kind == FX_COMPLEX)
        fx_refuse_arg(c, 0, "only real signals are transformed");
    jc_value *x = fx_tensor(c, 0);
    if (!x || r->status)
        return fx_nothing();
    if (fx_class_of(x) != 'f' || fx_rank(x) < 1 || fx_rank(x) > 2) {
        fx_bad_arg(c, 0, "a signal of floats, or a stack of them");
        return fx_nothing();
    }
    const bool center = fx_bool(c, CENTER, true), half = fx_bool(c, 8, true), whole = fx_bool(c, 9, false);
    if (!has_frames(c, 7, (jc_dtype)x->type.dtype))
        return fx_nothing();
    if (!fx_given(c, 6))
        c->a[6] = (jc_arg){ .kind = JC_ARG_STR, .str = "reflect" };
    if (center)
        c->a[0] = fx_defined_as(c, "stft_padded");
    const jc_arg y = r->status ? fx_nothing() : fx_defined_as(c, half ? "stft_half" : "stft_whole");
    return r->status || whole ? y : fx_v(fx_complex_memory(r, y));
}

/* istft(self, n_fft, hop_length, win_length, window, center, normalized, onesided, length, return_complex) */
jc_arg fx_h_istft(fx_call *c) {
    fx_reader *r = c->r;
    const fx_pair *p = c->a[0].kind == FX_COMPLEX ? fx_pair_of(c->a[0]) : NULL;
    if (!p || !fx_is_tensor(p->re) || fx_rank(p->re.value) < 2 || fx_rank(p->re.value) > 3) {
        fx_bad_arg(c, 0, "a complex spectrum over time, or a stack of them");
        return fx_nothing();
    }
    const bool alone = fx_rank(p->re.value) == 2, half = fx_bool(c, 7, true), center = fx_bool(c, CENTER, true);
    if (fx_bool(c, 9, false))
        fx_refuse_arg(c, 9, "only real signals are made");
    if (r->status || !has_frames(c, 6, (jc_dtype)p->re.value->type.dtype))
        return fx_nothing();
    c->a[CENTER] = fx_i(r, center);
    if (!fx_given(c, 8))
        c->a[8] = fx_i(r, -1);
    c->a[0] = fx_defined_as(c, half ? "istft_half" : "istft_whole");
    if (r->status || !fx_is_tensor(c->a[0]))
        return fx_nothing();
    if (alone)
        c->a[0] = fx_v(fx_unsqueeze(r, c->a[0].value, 0));
    const jc_arg y = fx_defined_as(c, jc_ex_is(c->a[8].expr, -1) ? "istft_added" : "istft_cut");
    return alone && fx_is_tensor(y) && !r->status ? fx_v(fx_squeeze(r, y.value, 0)) : y;
}
