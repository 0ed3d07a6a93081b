using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;

namespace GenRuntime
{
    /// <summary>Fields of a card, or a refusal: FormatException, or MissingFieldException with its name.</summary>
    internal static class Field
    {
        private static readonly Regex plainName = new Regex(@"\A[a-z][a-z0-9_]*\z");
        private static readonly Regex identifier = new Regex(@"\A[A-Za-z_][A-Za-z0-9_]*\z");

        public static Json Of(Json fields, string name) => fields[name] ?? throw new MissingFieldException(name);

        public static string TextOr(Json fields, string name, string otherwise) =>
            fields[name] == null
                ? otherwise
                : fields[name].Text ?? throw new FormatException($"{name} must be text");

        public static long Whole(Json fields, string name) =>
            Of(fields, name).Whole ?? throw new FormatException($"{name} must be a whole number");

        public static IReadOnlyList<Json> List(Json fields, string name) =>
            Of(fields, name).Items ?? throw new FormatException($"{name} must be a list");

        public static IReadOnlyList<Json> ListOrEmpty(Json fields, string name) =>
            fields[name] == null ? new Json[0] : List(fields, name);

        /// <summary>The name of a graph or a family; nothing else may become part of a file's name.</summary>
        public static string PlainName(Json value) =>
            value.Text != null && plainName.IsMatch(value.Text)
                ? value.Text
                : throw new FormatException(
                    $"expected a name of a-z, 0-9 and _, found {Text.Quoted(value.Text ?? "no text")}");

        /// <summary>The name of a port, a free axis or a choice.</summary>
        public static string Identifier(Json value, string what) =>
            value.Text != null && identifier.IsMatch(value.Text)
                ? value.Text
                : throw new FormatException(
                    $"{what} must be an identifier, found {Text.Quoted(value.Text ?? "no text")}");

        public static void RequireObject(Json value, string what)
        {
            if (value.Members == null)
            {
                throw new FormatException($"{what} must be an object");
            }
        }

        public static void RequireOnly(Json value, string what, params string[] known)
        {
            RequireObject(value, what);
            string other = value.Members.Keys.FirstOrDefault(name => !known.Contains(name));
            if (other != null)
            {
                throw new FormatException($"{what} has a field {Text.Quoted(other)}");
            }
        }
    }
}
