class <lambda>(torch.nn.Module):
    def forward(self, arg0_1: "Sym(s37)", arg1_1: "Sym(s25)", arg2_1: "f32[s37, s25][s25, 1]cpu"):
        add: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.add.Tensor(arg2_1, 1)
        add_4: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.add.Tensor(arg2_1, 2)
        add_8: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.add.Tensor(arg2_1, 3)
        add_12: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.add.Tensor(arg2_1, 4);  arg2_1 = None
        slice_2: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.slice.Tensor(add_4, 0, 0, 9223372036854775807)
        slice_3: "f32[s37, ((s25 + 1)//2)][s25, 2]cpu" = torch.ops.aten.slice.Tensor(slice_2, 1, 0, 9223372036854775807, 2);  slice_2 = None
        sym_size_int_4: "Sym(((s25 + 1)//2))" = torch.ops.aten.sym_size.int(slice_3, 1);  slice_3 = None
        view: "f32[3, ((s25*s37)//3)][((s25*s37)//3), 1]cpu" = torch.ops.aten.view.default(add_12, [3, 2])
        sym_size_int_5: "Sym(((s25*s37)//3))" = torch.ops.aten.sym_size.int(view, 1)
        select_1: "f32[((s25*s37)//3)][1]cpu" = torch.ops.aten.select.int(view, 0, 1);  view = None
        sym_storage_offset_default: "Sym(((s25*s37)//3))" = torch.ops.aten.sym_storage_offset.default(select_1);  select_1 = None
        view_1: "f32[s25*s37][1]cpu" = torch.ops.aten.view.default(add_12, [-1])
        slice_4: "f32[1][1]cpu" = torch.ops.aten.slice.Tensor(view_1, 0, -1, 9223372036854775807);  view_1 = None
        sym_storage_offset_default_1: "Sym(s25*s37 - 1)" = torch.ops.aten.sym_storage_offset.default(slice_4);  slice_4 = None
        auto_functionalized_v2 = torch.ops.higher_order.auto_functionalized_v2(torch.ops.test.scale_all_.default, f = 2.0, _xs_length = 5, _xs_0_base_index = 0, _xs_0_size = (arg0_1,), _xs_0_stride = (arg1_1,), _xs_0_storage_offset = 1, _xs_1_base_index = 1, _xs_1_size = (arg0_1, sym_size_int_4), _xs_1_stride = (arg1_1, 2), _xs_1_storage_offset = 0, _xs_2_base_index = 2, _xs_2_size = (arg1_1, arg0_1), _xs_2_stride = (1, arg1_1), _xs_2_storage_offset = 0, _xs_3_base_index = 3, _xs_3_size = (sym_size_int_5,), _xs_3_stride = (1,), _xs_3_storage_offset = sym_storage_offset_default, _xs_4_base_index = 3, _xs_4_size = (1,), _xs_4_stride = (1,), _xs_4_storage_offset = sym_storage_offset_default_1, _all_bases = [add, add_4, add_8, add_12]);  arg0_1 = arg1_1 = sym_size_int_4 = sym_size_int_5 = sym_storage_offset_default = sym_storage_offset_default_1 = add = add_4 = add_8 = add_12 = None
        getitem_1: "f32[s37, s25][s25, 1]cpu" = auto_functionalized_v2[1]
        getitem_2: "f32[s37, s25][s25, 1]cpu" = auto_functionalized_v2[2]
        getitem_3: "f32[s37, s25][s25, 1]cpu" = auto_functionalized_v2[3]
        getitem_4: "f32[s37, s25][s25, 1]cpu" = auto_functionalized_v2[4];  auto_functionalized_v2 = None
        mul_24: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.mul.Tensor(getitem_2, 1);  getitem_2 = None
        sub_22: "f32[s37, s25][s25, 1]cpu" = torch.ops.aten.sub.Tensor(getitem_4, getitem_1);  getitem_4 = None
        return (getitem_1, mul_24, getitem_3, sub_22)
