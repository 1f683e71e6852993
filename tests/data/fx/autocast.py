class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu", L_w_: "f32[3, 3][3, 1]cpu"):
        l_x_ = L_x_
        l_w_ = L_w_
        _enter_autocast = torch.amp.autocast_mode._enter_autocast('cpu', torch.bfloat16, True, None)
        y: "bf16[2, 3][3, 1]cpu" = l_x_ @ l_w_;  l_x_ = l_w_ = None
        _exit_autocast = torch.amp.autocast_mode._exit_autocast(_enter_autocast);  _enter_autocast = _exit_autocast = None
        mul: "bf16[2, 3][3, 1]cpu" = y * 2;  y = None
        return (mul,)
