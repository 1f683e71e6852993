class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu", L_y_: "f32[2, 3][3, 1]cpu"):
        l_x_ = L_x_
        l_y_ = L_y_
        add: "f32[2, 3][3, 1]cpu" = l_x_.__add__(l_y_)
        radd: "f32[2, 3][3, 1]cpu" = l_x_.__radd__(1)
        rsub: "f32[2, 3][3, 1]cpu" = l_x_.__rsub__(1)
        mul: "f32[2, 3][3, 1]cpu" = l_x_.__mul__(2)
        truediv: "f32[2, 3][3, 1]cpu" = l_x_.__truediv__(l_y_)
        rtruediv: "f32[2, 3][3, 1]cpu" = l_x_.__rtruediv__(2)
        eq: "b8[2, 3][3, 1]cpu" = l_x_.__eq__(l_y_)
        ne: "b8[2, 3][3, 1]cpu" = l_x_.__ne__(l_y_)
        lt: "b8[2, 3][3, 1]cpu" = l_x_.__lt__(l_y_);  l_y_ = None
        ge: "b8[2, 3][3, 1]cpu" = l_x_.__ge__(2.0)
        neg: "f32[2, 3][3, 1]cpu" = l_x_.__neg__();  l_x_ = None
        return (add, radd, rsub, mul, truediv, rtruediv, eq, ne, lt, ge, neg)
