class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu"):
        l_x_ = L_x_
        z: "f32[1, 2, 3][6, 3, 1]cpu" = l_x_[None]
        split = torch.functional.split(l_x_, [1, 2], dim = -1)
        p: "f32[2, 1][3, 1]cpu" = split[0]
        p_1: "f32[2, 2][3, 1]cpu" = split[1];  split = None
        unsafe_chunk = l_x_.unsafe_chunk(2)
        p_2: "f32[1, 3][3, 1]cpu" = unsafe_chunk[0]
        p_3: "f32[1, 3][3, 1]cpu" = unsafe_chunk[1];  unsafe_chunk = None
        movedim: "f32[2, 3, 1][3, 1, 6]cpu" = z.movedim((0, 1), (2, 0))
        moveaxis: "f32[2, 3, 1][3, 1, 6]cpu" = torch.moveaxis(z, 0, -1);  z = None
        add: "f32[2, 1][1, 1]cpu" = p + 1;  p = None
        add_1: "f32[2, 2][2, 1]cpu" = p_1 + 1;  p_1 = None
        add_2: "f32[1, 3][3, 1]cpu" = p_2 + 1;  p_2 = None
        add_3: "f32[1, 3][3, 1]cpu" = p_3 + 1;  p_3 = None
        ravel: "f32[6][1]cpu" = l_x_.ravel()
        adjoint: "f32[3, 2][1, 3]cpu" = l_x_.adjoint();  l_x_ = None
        add_4: "f32[3, 2][1, 3]cpu" = adjoint + 1;  adjoint = None
        return (movedim, moveaxis, add, add_1, add_2, add_3, ravel, add_4)
