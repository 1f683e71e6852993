class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu"):
        l_x_ = L_x_
        tensor: "f32[3][1]cpu" = torch.tensor([1.0, 2, 3])
        add: "f32[2, 3][3, 1]cpu" = l_x_ + tensor;  tensor = None
        tensor_1: "i64[3, 2][2, 1]cpu" = torch.tensor([[1, 2], [3, 5], [8, 13]])
        tensor_2: "f32[0][1]cpu" = torch.tensor([])
        tensor_3: "b8[2][1]cpu" = torch.tensor([True, False])
        tensor_4: "i64[][]cpu" = torch.tensor(3)
        mul: "f32[2, 3][3, 1]cpu" = tensor_4 * l_x_;  tensor_4 = l_x_ = None
        return (add, tensor_1, tensor_2, tensor_3, mul)
