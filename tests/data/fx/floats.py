class GraphModule(torch.nn.Module):
    def forward(self, s77: "Sym(s77)", s27: "Sym(s27)", L_x_: "f32[s77, s27][s27, 1]cpu", L_f_: "f64[][]cpu"):
        l_x_ = L_x_
        l_f_ = L_f_
        item: "Sym(zf57)" = l_f_.item();  l_f_ = None
        mul: "f32[s77, s27][s27, 1]cpu" = l_x_ * item
        sub: "f32[s77, s27][s27, 1]cpu" = item - l_x_
        to: "bf16[s77, s27][s27, 1]cpu" = l_x_.to(torch.bfloat16)
        mul_1: "bf16[s77, s27][s27, 1]cpu" = to * item;  to = None
        mul_2: "f32[s77, s27][s27, 1]cpu" = l_x_ * 2
        int_1: "i32[s77, s27][s27, 1]cpu" = mul_2.int();  mul_2 = None
        mul_3: "f32[s77, s27][s27, 1]cpu" = int_1 * item;  int_1 = None
        sum_1: "f32[][]cpu" = l_x_.sum()
        mul_4: "f32[][]cpu" = sum_1 * item;  sum_1 = None
        mul_5: "Sym(2.0*zf57)" = item * 2
        add: "Sym(2.0*zf57 + 1.0)" = mul_5 + 1;  mul_5 = None
        mul_6: "f32[s77, s27][s27, 1]cpu" = l_x_ * add;  add = None
        full: "f32[2][1]cpu" = torch.full((2,), item)
        clamp: "f32[s77, s27][s27, 1]cpu" = l_x_.clamp(min = item)
        truediv: "f32[s77, s27][s27, 1]cpu" = l_x_ / item;  l_x_ = item = None
        return (mul, sub, mul_1, mul_3, mul_4, mul_6, full, clamp, truediv)
