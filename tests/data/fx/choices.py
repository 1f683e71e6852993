class GraphModule(torch.nn.Module):
    def forward(self, s77: "Sym(s77)", s27: "Sym(s27)", L_x_: "f32[s77, s27][s27, 1]cpu"):
        l_x_ = L_x_
        gt: "Sym(s77 > 3)" = s77 > 3
        sym_ite: "Sym(Piecewise((5, s77 > 3), (2, True)))" = torch.sym_ite(gt, 5, 2);  gt = None
        add: "f32[s77, s27][s27, 1]cpu" = l_x_ + sym_ite;  sym_ite = None
        sym_sum: "Sym(s27 + s77 + 3)" = torch.sym_sum([s77, s27, 3]);  s27 = None
        add_1: "f32[s77, s27][s27, 1]cpu" = l_x_ + sym_sum;  sym_sum = None
        pow_1: "Sym(FloatPow(ToFloat(s77), -0.5))" = s77 ** -0.5
        mul: "f32[s77, s27][s27, 1]cpu" = l_x_ * pow_1;  pow_1 = None
        lshift: "Sym(2*s77)" = s77 << 1;  s77 = None
        add_2: "f32[s77, s27][s27, 1]cpu" = l_x_ + lshift;  l_x_ = lshift = None
        return (add, add_1, mul, add_2)
