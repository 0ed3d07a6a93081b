using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace GenRuntime
{
    /// <summary>A strict JSON reader (RFC 8259) for documents of strangers: limited in depth.</summary>
    internal sealed class JsonReader
    {
        private const string escapes = "\"\\/bfnrt";
        private const string escaped = "\"\\/\b\f\n\r\t";

        private static readonly string[] noNumbers = { "NaN", "Infinity", "-Infinity" };

        private readonly string text;
        private readonly int deepest;
        private int at;
        private int depth;

        public JsonReader(string text, int deepest)
        {
            this.text = text;
            this.deepest = deepest;
        }

        private char Next => at < text.Length ? text[at] : '\0';

        public Json Document()
        {
            Json value = Read();
            SkipSpace();
            return at == text.Length ? value : throw Expected("the end");
        }

        private Json Read()
        {
            SkipSpace();
            switch (Next)
            {
                case '{':
                    return Nested(Members);
                case '[':
                    return Nested(Items);
                case '"':
                    return new Json(String());
                case 't':
                    return Literal("true", true);
                case 'f':
                    return Literal("false", false);
                case 'n':
                    return Literal("null", null);
                default:
                    return Number();
            }
        }

        private Json Literal(string name, object value) => Take(name) ? new Json(value) : throw Expected("a value");

        private Json Nested(Func<object> read)
        {
            if (depth == deepest)
            {
                throw new JsonDepthException(deepest);
            }
            depth++;
            at++;
            var value = new Json(read());
            depth--;
            return value;
        }

        private object Members()
        {
            var members = new Dictionary<string, Json>();
            SkipSpace();
            if (Take("}"))
            {
                return members;
            }
            do
            {
                SkipSpace();
                string name = Next == '"' ? String() : throw Expected("a name in quotes");
                SkipSpace();
                Require(":");
                members[name] = Read();
                SkipSpace();
            }
            while (Take(","));
            Require("}");
            return members;
        }

        private object Items()
        {
            var items = new List<Json>();
            SkipSpace();
            if (Take("]"))
            {
                return items;
            }
            do
            {
                items.Add(Read());
                SkipSpace();
            }
            while (Take(","));
            Require("]");
            return items;
        }

        private Json Number()
        {
            string name = Array.Find(noNumbers, Take);
            if (name != null)
            {
                throw new FormatException($"{name} is no JSON number");
            }
            int begin = at;
            Take("-");
            if (!Take("0"))
            {
                Digits();
            }
            int whole = at;
            if (Take("."))
            {
                Digits();
            }
            if (Take("e") || Take("E"))
            {
                if (!Take("+"))
                {
                    Take("-");
                }
                Digits();
            }
            return NumberOf(text.Substring(begin, at - begin), whole == at);
        }

        private static Json NumberOf(string digits, bool isWhole)
        {
            CultureInfo culture = CultureInfo.InvariantCulture;
            if (isWhole && long.TryParse(digits, NumberStyles.AllowLeadingSign, culture, out long whole))
            {
                return new Json(whole);
            }
            if (double.TryParse(digits, NumberStyles.Float, culture, out double real) && !double.IsInfinity(real))
            {
                return new Json(real);
            }
            string shown = digits.Substring(0, Math.Min(digits.Length, 40));
            throw new FormatException($"{shown} is too large a number");
        }

        private void Digits()
        {
            int begin = at;
            while (Next >= '0' && Next <= '9')
            {
                at++;
            }
            if (at == begin)
            {
                throw Expected("a value");
            }
        }

        private string String()
        {
            var result = new StringBuilder();
            at++;
            while (Next != '"')
            {
                if (Next < ' ')
                {
                    throw Expected(at < text.Length ? "no control character in a string" : "'\"'");
                }
                result.Append(Take("\\") ? Escape() : text[at++]);
            }
            at++;
            string whole = result.ToString();
            return HasHalfPair(whole) ? throw Expected("both halves of a pair") : whole;
        }

        /// <summary>Whether a surrogate stands alone, as only an escape can write it.</summary>
        private static bool HasHalfPair(string text)
        {
            for (int i = 0; i < text.Length; i++)
            {
                if (char.IsSurrogate(text[i]) && !char.IsSurrogatePair(text, i++))
                {
                    return true;
                }
            }
            return false;
        }

        private char Escape()
        {
            if (Take("u"))
            {
                return Unicode();
            }
            int kind = at < text.Length ? escapes.IndexOf(text[at]) : -1;
            if (kind < 0)
            {
                throw Expected("an escape");
            }
            at++;
            return escaped[kind];
        }

        private char Unicode()
        {
            const NumberStyles style = NumberStyles.AllowHexSpecifier;
            string digits = text.Substring(at, Math.Min(4, text.Length - at));
            if (digits.Length < 4 || !ushort.TryParse(digits, style, CultureInfo.InvariantCulture, out ushort code))
            {
                throw Expected("four hexadecimal digits");
            }
            at += 4;
            return (char)code;
        }

        private void SkipSpace()
        {
            while (Next == ' ' || Next == '\t' || Next == '\n' || Next == '\r')
            {
                at++;
            }
        }

        private bool Take(string what)
        {
            bool found = string.CompareOrdinal(text, at, what, 0, what.Length) == 0;
            at += found ? what.Length : 0;
            return found;
        }

        private void Require(string what)
        {
            if (!Take(what))
            {
                throw Expected($"'{what}'");
            }
        }

        private FormatException Expected(string what) => new FormatException($"expected {what} at character {at}");
    }
}
