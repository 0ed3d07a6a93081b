namespace GenRuntime
{
    /// <summary>The type of a tensor's numbers.</summary>
    public enum DType
    {
        /// <summary><see cref="bool"/></summary>
        Bool,

        /// <summary><see cref="byte"/></summary>
        UInt8,

        /// <summary><see cref="int"/></summary>
        Int32,

        /// <summary><see cref="long"/></summary>
        Int64,

        /// <summary><see cref="float"/></summary>
        Float32,

        /// <summary><see cref="double"/></summary>
        Float64,
    }
}
