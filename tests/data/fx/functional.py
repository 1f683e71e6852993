class <lambda>(torch.nn.Module):
    def forward(self, arg0_1: "f32[2, 3][3, 1]cpu", arg1_1: "f32[2, 3][3, 1]cpu"):
        empty_like: "f32[2, 3][3, 1]cpu" = torch.ops.aten.empty_like.default(arg0_1, pin_memory = False)
        mul: "f32[2, 3][3, 1]cpu" = torch.ops.aten.mul.Tensor(arg1_1, 2)
        auto_functionalized_v2 = torch.ops.higher_order.auto_functionalized_v2(torch.ops.test.both.default, x = arg0_1, _out_base_index = 0, _total_base_index = 1, _all_bases = [empty_like, mul]);  arg0_1 = empty_like = mul = None
        getitem: "f32[2, 3][3, 1]cpu" = auto_functionalized_v2[0]
        getitem_1: "f32[2, 3][3, 1]cpu" = auto_functionalized_v2[1]
        getitem_2: "f32[2, 3][3, 1]cpu" = auto_functionalized_v2[2];  auto_functionalized_v2 = None
        add: "f32[2, 3][3, 1]cpu" = torch.ops.aten.add.Tensor(getitem, getitem_2);  getitem = getitem_2 = None
        auto_functionalized_v2_1 = torch.ops.higher_order.auto_functionalized_v2(torch.ops.test.both.default, x = arg1_1, _out_base_index = 0, _total_base_index = None, _all_bases = [getitem_1]);  arg1_1 = getitem_1 = None
        getitem_3: "f32[2, 3][3, 1]cpu" = auto_functionalized_v2_1[0]
        getitem_4: "f32[2, 3][3, 1]cpu" = auto_functionalized_v2_1[1];  auto_functionalized_v2_1 = None
        sub: "f32[2, 3][3, 1]cpu" = torch.ops.aten.sub.Tensor(getitem_3, getitem_4);  getitem_3 = None
        return (getitem_4, add, sub)
