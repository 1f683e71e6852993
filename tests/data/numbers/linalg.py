#!/usr/bin/env python3
"""Writes linalg.txt: torch.linalg and its kin.  Where torch is:

    python3 tests/data/numbers/linalg.py > tests/data/numbers/linalg.txt
"""
import warnings

import torch
from math import inf

from case import case

warnings.filterwarnings('ignore')
torch.manual_seed(0)
X = torch.randn(2, 3, 4)
A = torch.randn(2, 4, 4) + 2 * torch.eye(4)
A[1, 0, 0] = 0  # so that rows are exchanged
P = A @ A.mT + torch.eye(4)
B = torch.randn(2, 4, 3)
I = torch.randint(-4, 5, (3, 3))
L = 'torch.linalg.'


def several(name, forms, inputs, **kinds):
    """One result for each of FORMS."""
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = ({form}).contiguous()' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, **kinds)


def fails(name, form, inputs, refused):
    """FORM raises for INPUTS, in PyTorch too."""
    try:
        eval(form, {'torch': torch}, {key: torch.tensor(spec[1]) for key, spec in inputs.items()})
    except RuntimeError:
        return case(name, f'r = {form}\nreturn (r,)', inputs, refused=refused)
    raise AssertionError(form)


inputs = {'x': ('f32', X.tolist()), 'y': ('f32', torch.randn(2, 3, 4).tolist()), 'm': ('f32', X[0].tolist()), 'v': ('f32', X[0, 0].tolist()), 'i': ('i64', I.tolist())}
for dtype, near in (('f32', 1e-5), ('bf16', 2e-2), ('f64', 1e-10)):
    typed = {k: (dtype if k != 'i' else 'i64', t[1]) for k, t in inputs.items()}
    several(f'norms of {dtype}', [f'{L}norm(x)', f'{L}norm(v, 3)', f'{L}norm(m)', f"{L}norm(m, 'fro')", f'{L}norm(m, 1)', f"{L}norm(m, float('-inf'))", f'{L}norm(x, dim = 1)', f'{L}norm(x, 1, dim = (0, 2))', f'{L}norm(x, dim = (0, 1), keepdim = True)',
                                  f"{L}norm(x, float('inf'), dim = (2, 1), keepdim = True)", f'{L}norm(x, -1, dim = (-1, 0))', f'{L}norm(m, 1, dtype = torch.float64)', f'{L}matrix_norm(x)', f'{L}matrix_norm(x, -1)',
                                  f"{L}matrix_norm(x, float('inf'), (0, 1))", f"{L}matrix_norm(x, 'fro', keepdim = True)", f'{L}vector_norm(x, 3, dim = (0, 2))', f'{L}vector_norm(x, ord = 0)',
                                  'torch._C._linalg.linalg_norm(x)', 'torch.ops.aten.linalg_matrix_norm.default(x, 1)'], typed, near=near, absolute=near)
several('parts and products', [f'{L}cross(x[..., :3], y[..., :3])', f'{L}cross(m, m + 1, dim = 0)', f'{L}diagonal(x)', f'{L}diagonal(x, offset = 1, dim1 = 0, dim2 = 1)', f'{L}vander(m)', f'{L}vander(v, N = 3)', f'{L}vander(i)',
                               f'{L}vecdot(x, y)', f'{L}vecdot(x, y, dim = 0)', f'{L}matmul(m, m.t())', f'{L}matrix_power(i, 0)', f'{L}matrix_power(i, 1)', f'{L}matrix_power(i, 5)', 'torch.matrix_power(m[:, :3], 3)', 'i.matrix_power(2)',
                               f'{L}multi_dot([m, m.t(), m])', f'{L}multi_dot([v, m.t(), m, m.t()])', f'{L}multi_dot([m.t(), m, v])', f'{L}multi_dot([v, v])', 'torch.ops.aten.linalg_multi_dot.default([i, i, i])',
                               'torch._C._linalg.linalg_diagonal(i)', 'torch.ops.aten.linalg_cross.default(x[..., :3], y[..., :3])'], inputs, near=1e-5, absolute=1e-5)
several('singular vectors are refused', [f'{L}svd(x)[0]'], inputs, refused='whose signs no rule tells')
square = {'a': ('f32', A.tolist()), 'p': ('f32', P.tolist()), 'b': ('f32', B.tolist()), 'v': ('f32', B[..., 0].tolist())}
several('determinants and inverses', [f'{L}det(a)', f'{L}slogdet(a)[0]', f'{L}slogdet(a)[1]', 'torch.logdet(a)', 'torch.det(a[0])', f'{L}inv(a)', 'torch.inverse(p)', f'{L}inv_ex(a)[0]', f'{L}inv_ex(a)[1]', f'{L}matrix_power(a, -2)', f'{L}det(a * 0)',
                                      f'{L}det(a[:, :0, :0])', f'{L}tensorinv(a.reshape(2, 2, 2, 4)[0].reshape(2, 2, 4), ind = 2)'], square, near=2e-4, absolute=2e-4)
several('systems solved', [f'{L}solve(a, b)', f'{L}solve(a, v)', f'{L}solve(a[0], b)', f'{L}solve(a, b.mT, left = False)', f'{L}solve(a[0], v[0])', f'{L}solve_ex(a, b)[0]', f'{L}solve_ex(a * 0, b)[1]', f'{L}solve_triangular(a, b, upper = True)',
                           f'{L}solve_triangular(a, b, upper = False)', f'{L}solve_triangular(a, b.mT, upper = True, left = False)', f'{L}solve_triangular(a, b, upper = False, unitriangular = True)', f'{L}solve_triangular(a[0], b, upper = True)',
                           'torch.triangular_solve(b, a)[0]', 'torch.triangular_solve(b, a, upper = False, transpose = True)[0]', 'torch.cholesky_solve(b, p.tril())', 'torch.cholesky_solve(b, p.triu(), True)', 'torch.cholesky_inverse(p.tril())'],
        square, near=5e-4, absolute=5e-4)
several('factors', [f'{L}cholesky(p)', f'{L}cholesky(p, upper = True)', 'torch.cholesky(p)', f'{L}cholesky_ex(p)[0]', f'{L}cholesky_ex(p)[1]', f'{L}cholesky_ex(p - 4 * p)[1]', f'{L}lu_factor(a)[0]', f'{L}lu_factor(a)[1]',
                    f'{L}lu_factor_ex(a * 0)[2]'] + [f'{L}lu({m})[{i}]' for m in ('a', 'a[:, :3]', 'a[..., :2]') for i in range(3)] + [f'torch.lu_unpack({L}lu_factor(a)[0], {L}lu_factor(a)[1])[{i}]' for i in range(3)] +
        [f'{L}lu_solve({L}lu_factor(a)[0], {L}lu_factor(a)[1], b)', f'{L}lu_solve({L}lu_factor(a)[0], {L}lu_factor(a)[1], b, adjoint = True)', f'{L}lu_solve({L}lu_factor(a)[0], {L}lu_factor(a)[1], b.mT, left = False)',
         f'torch.lu_solve(b, {L}lu_factor(a)[0], {L}lu_factor(a)[1])'], square, near=2e-4, absolute=2e-4)
several('too large to be factored', [f'{L}inv(x)'], {'x': ('f32', torch.eye(17).tolist())}, refused='up to 16')

ONE, TWO = [[1., 2.], [2., 4.]], [[[1., 0.], [0., 1.]], [[1., 2.], [2., 1.]]]
one, two, none, nan = {'x': ('f32', ONE)}, {'x': ('f32', TWO)}, {'x': ('f32', [[[1., 0.], [0., 1.]], ONE])}, {'x': ('f32', [[float('nan'), 1.], [1., 2.]])}
for form, inputs, refused in (
        (f'{L}cholesky(x)', two, 'linalg.cholesky: (batch element 1)|not positive-definite: its leading minor of order 2'), (f'{L}cholesky(x[1], upper = True)', two, 'linalg.cholesky: the factorization|order 2'),
        ('x[1].cholesky()', two, ' cholesky: the factorization|order 2'), (f'{L}cholesky_ex(x, check_errors = True)[0]', two, 'linalg.cholesky_ex: (batch element 1)'), (f'{L}cholesky(x)', nan, 'leading minor of order 1'),
        (f'{L}inv(x)', one, 'linalg.inv: the inversion|singular: the diagonal element 2 is zero'), ('x.inverse()', none, 'linalg.inv: (batch element 1)|diagonal element 2'), (f'{L}inv_ex(x, check_errors = True)[0]', one, 'linalg.inv_ex: the inversion'),
        (f'{L}matrix_power(x, -2)', one, 'linalg.inv: '), (f'{L}tensorinv(x, ind = 1)', one, 'inv: |diagonal element 2'), (f'{L}solve(x, x)', none, 'torch.linalg.solve: (batch element 1) the solver failed'),
        (f'{L}solve(x, x[0])', one, 'torch.linalg.solve: the solver failed'), (f'{L}solve_ex(x, x, check_errors = True)[0]', one, 'torch.linalg.solve_ex: '), (f'{L}tensorsolve(x, x[0])', one, 'torch.linalg.solve: '),
        (f'{L}lu_factor(x)[0]', none, 'torch.linalg.lu_factor: (batch element 1)|of U, the diagonal element 2 is zero'), (f'{L}lu_factor_ex(x, check_errors = True)[0]', one, 'torch.linalg.lu_factor_ex: '),
        ('torch.cholesky_inverse(x * 0)', one, 'cholesky_inverse: |diagonal element 1')):
    fails(f'{form} has no such factors', form, inputs, refused)
several('what does not raise', [f'{L}cholesky_ex(y)[1]', f'{L}inv_ex(x)[1]', f'{L}solve_ex(x, x)[1]', f'{L}lu_factor_ex(x)[2]', f'{L}lu_factor_ex(x)[0]', f'{L}det(x)', f'{L}cond(x[1], 1)', f'{L}lu(x)[2]', f'{L}inv(x[:0])'],
        {'x': none['x'], 'y': two['x']}, near=1e-5)
case('as AOTAutograd has it', "f = torch.ops.aten.linalg_inv_ex.default(x)\ny = f[0]\ni = f[1]\n_c = torch.ops.aten._linalg_check_errors.default(i, 'linalg.inv', is_matrix = True)\n"
     "g = torch.ops.aten._linalg_solve_ex.default(x, y)\nz = g[0]\nj = g[3]\n_d = torch.ops.aten._linalg_check_errors.default(j, 'torch.linalg.solve', is_matrix = True)\nreturn (y, z, i, j)",
     {'x': ('f32', [[2., 1.], [1., 3.]])}, near=1e-5, absolute=1e-6)
case('as AOTAutograd has it, singular', "f = torch.ops.aten.linalg_inv_ex.default(x)\ny = f[0]\ni = f[1]\n_c = torch.ops.aten._linalg_check_errors.default(i, 'linalg.inv', is_matrix = True)\nreturn (y,)", one,
     refused='linalg.inv: the inversion')

case('vectors of decompositions', f'r = {L}eigh(x)[1]\nreturn (r,)', one, refused='whose signs no rule tells')
