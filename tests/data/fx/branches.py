class GraphModule(torch.nn.Module):
    def forward(self, L_p_: "b8[][]cpu", L_x_: "f32[2, 3][3, 1]cpu"):
        l_p_ = L_p_
        l_x_ = L_x_
        cond_true_0 = self.cond_true_0
        cond_false_0 = self.cond_false_0
        cond = torch.ops.higher_order.cond(l_p_, cond_true_0, cond_false_0, (l_x_,));  l_p_ = cond_true_0 = cond_false_0 = l_x_ = None
        getitem: "f32[2, 3][3, 1]cpu" = cond[0];  cond = None
        return (getitem,)
    class cond_true_0(torch.nn.Module):
        def forward(self, l_x_: "f32[2, 3][3, 1]cpu"):
            l_x__1 = l_x_
            add: "f32[2, 3][3, 1]cpu" = l_x__1 + 1;  l_x__1 = None
            return (add,)
    class cond_false_0(torch.nn.Module):
        def forward(self, l_x_: "f32[2, 3][3, 1]cpu"):
            l_x__1 = l_x_
            sub: "f32[2, 3][3, 1]cpu" = l_x__1 - 1;  l_x__1 = None
            abs_1: "f32[2, 3][3, 1]cpu" = sub.abs();  sub = None
            return (abs_1,)
