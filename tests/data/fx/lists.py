class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu"):
        l_x_ = L_x_
        getitem: "f32[2, 3][3, 1]cpu" = l_x_[[1, 0]]
        getitem_1: "f32[2, 1][1, 1]cpu" = l_x_[(Ellipsis, [-2])]
        getitem_2: "f32[2, 3, 1][3, 1, 1]cpu" = l_x_[(slice(None, None, None), [0, 1, 2], None)]
        getitem_3: "f32[1, 2, 3][6, 3, 1]cpu" = l_x_[True]
        getitem_4: "f32[1, 3, 3, 1][9, 3, 1, 1]cpu" = l_x_[(None, [0, -1, 0], Ellipsis, None)];  l_x_ = None
        return (getitem, getitem_1, getitem_2, getitem_3, getitem_4)
