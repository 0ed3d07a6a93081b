using System;
using System.Collections.Generic;
using System.Linq;

namespace GenRuntime
{
    /// <summary>Reads the ports of a card.</summary>
    internal static class PortReader
    {
        private static readonly string[] known =
        {
            "name", "dtype", "shape", "description", "minimum", "maximum", "default", "optional", "choices",
        };

        public static IReadOnlyList<Port> ReadAll(IEnumerable<Json> ports) => ports.Select(Read).ToList();

        private static Port Read(Json fields)
        {
            Field.RequireOnly(fields, "a port", known);
            string name = Field.Identifier(Field.Of(fields, "name"), "a port's name");
            return new Port
            {
                Name = name,
                Element = ElementOf(Field.Of(fields, "dtype"), name),
                Shape = Field.List(fields, "shape").Select(axis => AxisOf(axis, name)).ToList(),
                Description = Field.TextOr(fields, "description", ""),
                Minimum = Bound(fields, "minimum", name),
                Maximum = Bound(fields, "maximum", name),
                Default = Bound(fields, "default", name),
                Optional = Flag(fields, "optional", name),
                Choices = Field.ListOrEmpty(fields, "choices")
                    .Select(choice => Field.Identifier(choice, $"port {name}: a choice"))
                    .ToList(),
            };
        }

        private static Element ElementOf(Json dtype, string port) =>
            Element.Named(dtype.Text)
            ?? throw new FormatException($"port {port}: dtype {Text.Quoted(dtype.Text ?? "no text")} is unknown");

        private static Axis AxisOf(Json axis, string port)
        {
            if (axis.Whole == null)
            {
                return new Axis(null, Field.Identifier(axis, $"port {port}: a free axis"));
            }
            return axis.Whole >= 1
                ? new Axis(axis.Whole, null)
                : throw new FormatException($"port {port}: a size must be at least 1, found {axis.Whole}");
        }

        private static double? Bound(Json fields, string name, string port)
        {
            Json bound = fields[name];
            return bound == null || bound.IsNull
                ? (double?)null
                : bound.Number ?? throw new FormatException($"port {port}: {name} must be a finite number");
        }

        private static bool Flag(Json fields, string name, string port) =>
            fields[name] != null
            && (fields[name].Boolean ?? throw new FormatException($"port {port}: {name} must be true or false"));
    }
}
