#!/usr/bin/env python3
"""Writes series.def: Chebyshev series of the smooth parts of special functions, by interpolation in 40 digits.  Where mpmath is:

    python3 ir/fx/series.py > ir/fx/series.def

What is smooth of a function, and in which variable, is told by Abramowitz and Stegun, Handbook of Mathematical Functions: 9.1.13 and 9.2.5 for J
and Y, 9.6.13 and 9.7.1 for I and K, 26.2.22 for the inverse of the normal distribution.
"""
import mpmath as mp

mp.mp.dps = 40
pi = mp.pi


def series(f, a, b, most=40):
    """Of F on [A, B], the highest first; what is below 1e-16 of the largest is left out."""
    n = most + 12
    xs = [mp.cos(pi * (k + mp.mpf(1) / 2) / n) for k in range(n)]
    ys = [f((b - a) / mp.mpf(2) * x + (a + b) / mp.mpf(2)) for x in xs]
    c = [2 * mp.fsum(y * mp.cos(pi * j * (k + mp.mpf(1) / 2) / n) for k, y in enumerate(ys)) / n for j in range(most)]
    c[0] /= 2
    while abs(c[-1]) < mp.mpf('1e-16') * max(map(abs, c)):
        c.pop()
    return [repr(float(v)) for v in reversed(c)]


def hankel(nu, x):
    """P and Q of J = sqrt(2 / (pi x)) (P cos t - Q sin t), t = x - (2 nu + 1) pi / 4."""
    t, scale = x - (2 * nu + 1) * pi / 4, mp.sqrt(pi * x / 2)
    j, y = mp.besselj(nu, x) * scale, mp.bessely(nu, x) * scale
    return j * mp.cos(t) + y * mp.sin(t), y * mp.cos(t) - j * mp.sin(t)


def tail(z):
    """What is left of the quantile of exp(-1 / (2 z^2)) beside t - log(t) / t, t = 1 / z."""
    t = 1 / z
    x = mp.findroot(lambda x: mp.log(mp.erfc(x / mp.sqrt(2)) / 2) + t * t / 2, t - mp.log(t) / t - mp.mpf('0.9') / t if t > 3 else t * mp.mpf('0.6'))
    return t - mp.log(t) / t - x


root = mp.sqrt
rows = {
    'i0_near': series(lambda x: mp.exp(-x) * mp.besseli(0, x), 0, 8),
    'i0_far': series(lambda u: root(8 / u) * mp.exp(-8 / u) * mp.besseli(0, 8 / u), 0, 1),
    'i1_near': series(lambda x: mp.exp(-x) * mp.besseli(1, x) / x, 0, 8),
    'i1_far': series(lambda u: root(8 / u) * mp.exp(-8 / u) * mp.besseli(1, 8 / u), 0, 1),
    'k0_near': series(lambda q: mp.besselk(0, root(q)) + mp.log(root(q) / 2) * mp.besseli(0, root(q)), 0, 4),
    'k0_far': series(lambda u: root(2 / u) * mp.exp(2 / u) * mp.besselk(0, 2 / u), 0, 1),
    'k1_near': series(lambda q: root(q) * (mp.besselk(1, root(q)) - mp.log(root(q) / 2) * mp.besseli(1, root(q))), 0, 4),
    'k1_far': series(lambda u: root(2 / u) * mp.exp(2 / u) * mp.besselk(1, 2 / u), 0, 1),
    'y0_near': series(lambda q: mp.bessely(0, root(q)) - 2 / pi * mp.log(root(q)) * mp.besselj(0, root(q)), 0, 64),
    'y1_near': series(lambda q: (mp.bessely(1, root(q)) - 2 / pi * (mp.log(root(q)) * mp.besselj(1, root(q)) - 1 / root(q))) / root(q), 0, 64),
    'ndtri_near': series(lambda q: root(2) * mp.erfinv(2 * root(q)) / root(q), 0, mp.mpf('0.1446')),
    'ndtri_mid': series(tail, mp.mpf(1) / 7, mp.mpf(1) / 2),
    'ndtri_far': series(tail, mp.mpf(1) / 40, mp.mpf(1) / 7),
}
for nu in (0, 1):
    rows[f'j{nu}_near'] = series(lambda q: mp.besselj(nu, root(q)) / root(q) ** nu, 0, 64)
    rows[f'p{nu}_far'] = series(lambda w: hankel(nu, 8 / root(w))[0], 0, 1)
    rows[f'q{nu}_far'] = series(lambda w: hankel(nu, 8 / root(w))[1] * 8 / root(w), 0, 1)
print('''/*
 * ir/fx/series.def - Chebyshev series, the highest coefficient first; made by ir/fx/series.py.
 *
 *   SERIES(name, coefficients)
 */''')
for name in sorted(rows):
    line = f'SERIES({name}'
    for c in rows[name]:
        if len(line) + len(c) > 145:
            print(line + ',')
            line = '       ' + c
        else:
            line += ', ' + c
    print(line + ')')
