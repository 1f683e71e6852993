class <lambda>(torch.nn.Module):
    def forward(self, arg0_1: "f32[2, 3][3, 1]cpu"):
        _tensor_constant0: "f32[3][1]cpu" = self._tensor_constant0
        lift_fresh_copy: "f32[3][1]cpu" = torch.ops.aten.lift_fresh_copy.default(_tensor_constant0);  _tensor_constant0 = None
        add: "f32[2, 3][3, 1]cpu" = torch.ops.aten.add.Tensor(arg0_1, lift_fresh_copy);  lift_fresh_copy = None
        _tensor_constant1: "i64[3, 2][2, 1]cpu" = self._tensor_constant1
        lift_fresh_copy_1: "i64[3, 2][2, 1]cpu" = torch.ops.aten.lift_fresh_copy.default(_tensor_constant1);  _tensor_constant1 = None
        _tensor_constant2: "f32[0][1]cpu" = self._tensor_constant2
        lift_fresh_copy_2: "f32[0][1]cpu" = torch.ops.aten.lift_fresh_copy.default(_tensor_constant2);  _tensor_constant2 = None
        _tensor_constant3: "b8[2][1]cpu" = self._tensor_constant3
        lift_fresh_copy_3: "b8[2][1]cpu" = torch.ops.aten.lift_fresh_copy.default(_tensor_constant3);  _tensor_constant3 = None
        _tensor_constant4: "i64[][]cpu" = self._tensor_constant4
        lift_fresh_copy_4: "i64[][]cpu" = torch.ops.aten.lift_fresh_copy.default(_tensor_constant4);  _tensor_constant4 = None
        mul: "f32[2, 3][3, 1]cpu" = torch.ops.aten.mul.Tensor(lift_fresh_copy_4, arg0_1);  lift_fresh_copy_4 = arg0_1 = None
        return (add, lift_fresh_copy_1, lift_fresh_copy_2, lift_fresh_copy_3, mul)
