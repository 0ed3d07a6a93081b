namespace GenRuntime.Tests
{
    /// <summary>Tensors, and what becomes of a value on its way to a port: the model `echo` gives it back.</summary>
    internal static class TensorTests
    {
        public static void An_array_of_any_rank_has_its_own_shape()
        {
            Check.Same(new long[] { 3 }, new Tensor(new[] { 1, 2, 3 }).Shape, "one axis");
            var tensor = new Tensor(new[,] { { 1f, 2f, 3f }, { 4f, 5f, 6f } });
            Check.Same(new long[] { 2, 3 }, tensor.Shape, "two axes");
            Check.Same(new[] { 1f, 2f, 3f, 4f, 5f, 6f }, tensor.Values<float>(), "row-major");
        }

        public static void One_dimensional_arrays_are_shared_not_copied()
        {
            var values = new float[6];
            Check.That(ReferenceEquals(values, new Tensor(values, 1, 6).Values<float>()), "shared");
        }

        public static void What_is_no_tensor_is_refused()
        {
            Check.Refused<GenPortException>(() => new Tensor(new float[3], 2, 2), "the shape [2, 2] has, found 3");
            Check.Refused<GenPortException>(() => new Tensor(new float[6], -2, -3), "the shape [-2, -3] has, found 6");
            Check.Refused<GenPortException>(() => new Tensor(new float[0], 1L << 32, 1L << 32), "found 0");
            Check.Refused<GenPortException>(() => new Tensor(new[] { "a" }), "an array of bool, byte, int, long");
            Check.Refused<GenPortException>(() => new Tensor(new[] { new[] { 1f } }), "found Single[]");
            Check.Refused<GenPortException>(() => new Tensor(null), "found none");
        }

        public static void Values_of_another_type_and_the_only_one_of_several_are_refused()
        {
            var tensor = new Tensor(new[] { 1.5, 2.5 });
            Check.Refused<GenPortException>(() => tensor.Values<float>(), "a tensor of float32, found one of float64");
            Check.Refused<GenPortException>(() => tensor.Item<double>(), "a tensor of one value, found the shape [2]");
            Check.Equal(1.5, Tensor.Single(1.5).Item<double>());
        }

        public static void Whole_numbers_go_to_whole_ports_and_floats_to_floats()
        {
            Outputs echo = Echo(new Inputs
            {
                { "bytes", new long[] { 0, 255 } },
                { "small", new byte[] { 1, 2 } },
                { "big", new[] { int.MinValue, 2 } },
                { "single", new[] { 0.1, -2.0 } },
                { "wide", new[] { 0.5f, 0.25f } },
                { "scale", 2 },
            });
            Check.Same(new byte[] { 0, 255 }, echo["bytes_out"].Values<byte>(), "bytes");
            Check.Same(new[] { 1, 2 }, echo["small_out"].Values<int>(), "small");
            Check.Same(new long[] { int.MinValue, 2 }, echo["big_out"].Values<long>(), "big");
            Check.Same(new[] { 0.1f, -2f }, echo["single_out"].Values<float>(), "single");
            Check.Same(new[] { 0.5, 0.25 }, echo["wide_out"].Values<double>(), "wide");
            Check.Equal(2f, echo["scale_out"].Item<float>());
        }

        public static void A_value_that_its_port_cannot_hold_is_refused()
        {
            RequireRefused("bytes", new long[] { 0, 256 }, "echo: bytes: expected uint8, found an array of int64");
            RequireRefused("single", new long[] { 1, 2 }, "echo: single: expected float32, found an array of int64");
            RequireRefused("single", new[] { 1f, float.NaN }, "echo: single: expected finite float32 values");
            RequireRefused("single", new[] { 1e39, 0 }, "echo: single: expected finite float32 values");
            RequireRefused("wide", new[] { 1, double.NegativeInfinity }, "echo: wide: expected finite float64");
            RequireRefused("scale", (1L << 24) + 1, "echo: scale: expected float32, found 16777217");
            RequireRefused("scale", true, "echo: scale: expected float32, found True");
            RequireRefused("flags", new byte[] { 0, 1 }, "echo: flags: expected bool, found an array of uint8");
            RequireRefused("small", 1.0, "echo: small: expected int32, found 1.0");
            RequireRefused("small", null, "echo: small: expected int32, found null");
            RequireRefused("small", "one", "echo: small: expected int32, found 'one'");
            RequireRefused("small", new[] { 1, 2, 3 }, "echo: small: expected shape [n=2], found [3]");
        }

        private static void RequireRefused(string port, Value value, string says) =>
            Check.Refused<GenPortException>(() => Echo(new Inputs { { port, value } }), says);

        private static Outputs Echo(Inputs changed)
        {
            var inputs = new Inputs
            {
                { "flags", new[] { true, false } },
                { "bytes", new byte[] { 0, 255 } },
                { "small", new[] { -1, 2 } },
                { "big", new[] { -1L, 2L } },
                { "single", new[] { 0.5f, 2f } },
                { "wide", new[] { 0.5, 2 } },
            };
            foreach (string name in changed.Keys)
            {
                inputs[name] = changed[name];
            }
            using (GenModel model = Suite.Load("echo"))
            {
                return model.Run("echo", inputs);
            }
        }
    }
}
