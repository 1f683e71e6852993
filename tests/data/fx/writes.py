class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu", L_y_: "f32[2, 3][3, 1]cpu"):
        l_x_ = L_x_
        l_y_ = L_y_
        x: "f32[2, 3][3, 1]cpu" = l_x_.clone();  l_x_ = None
        x += l_y_;  x_1: "f32[2, 3][3, 1]cpu" = x;  x = l_y_ = None
        mul_: "f32[2, 3][3, 1]cpu" = x_1.mul_(2);  mul_ = None
        x_1[(Ellipsis, 0)] = 2;  setitem = x_1;  setitem = None
        getitem: "f32[2][3]cpu" = x_1[(slice(None, None, None), 1)]
        getitem -= 1;  isub: "f32[2][3]cpu" = getitem;  getitem = None
        x_1[(slice(None, None, None), 1)] = isub;  setitem_1 = x_1;  isub = setitem_1 = None
        add: "f32[2, 3][3, 1]cpu" = torch.add(x_1, 1, out = x_1);  add = None
        fill_: "f32[2, 3][3, 1]cpu" = x_1.fill_(3)
        sub_: "f32[2, 3][3, 1]cpu" = fill_.sub_(1);  fill_ = None
        return (x_1, sub_)
