//! The types of the standard library and of `uuid` that can be keys.

use std::borrow::Cow;
use std::num;
use std::rc::Rc;
use std::sync::Arc;

use super::{IdempotencyKey, KeyWriter, Written};

impl IdempotencyKey for str {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(self)
    }
}

impl IdempotencyKey for [u8] {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.bytes(self)
    }
}

impl<const N: usize> IdempotencyKey for [u8; N] {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.bytes(self)
    }
}

// Written out: the compiler shows it in the error about another `Vec`, without a note on a macro.
impl IdempotencyKey for Vec<u8> {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.bytes(self)
    }
}

impl IdempotencyKey for bool {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(if *self { "true" } else { "false" })
    }
}

impl IdempotencyKey for char {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(self.encode_utf8(&mut [0; 4]))
    }
}

#[cfg(feature = "uuid")]
impl IdempotencyKey for uuid::Uuid {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(self.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
    }
}

impl<K: IdempotencyKey> IdempotencyKey for Option<K> {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        match self {
            Some(value) => value.write_key(key),
            None => key.missing(),
        }
    }
}

macro_rules! displayed {
    ($($type:ty)*) => { $(
        impl IdempotencyKey for $type {
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                key.display(self)
            }
        }
    )* };
}

displayed! {
    u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize
    num::NonZeroU8 num::NonZeroU16 num::NonZeroU32 num::NonZeroU64 num::NonZeroU128 num::NonZeroUsize
    num::NonZeroI8 num::NonZeroI16 num::NonZeroI32 num::NonZeroI64 num::NonZeroI128 num::NonZeroIsize
}

macro_rules! passed_on {
    ($($(#[$meta:meta])* [$($generics:tt)*] $type:ty => $value:ident $target:expr;)*) => { $(
        $(#[$meta])*
        impl<$($generics)*> IdempotencyKey for $type {
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                let $value = self;
                $target.write_key(key)
            }
        }
    )* };
}

passed_on! {
    [K: IdempotencyKey + ?Sized] &K => value (**value);
    [K: IdempotencyKey + ?Sized] &mut K => value (**value);
    [K: IdempotencyKey + ?Sized] Box<K> => value (**value);
    [K: IdempotencyKey + ?Sized] Rc<K> => value (**value);
    [K: IdempotencyKey + ?Sized] Arc<K> => value (**value);
    [K: IdempotencyKey + ToOwned + ?Sized] Cow<'_, K> => value (**value);
    [] String => value value.as_str();
}

macro_rules! tuples {
    ($($($part:ident)*;)*) => { $(
        impl<$($part: IdempotencyKey),*> IdempotencyKey for ($($part,)*) {
            #[allow(non_snake_case, reason = "each part is named as its type")]
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                let ($($part,)*) = self;
                key.parts(&[$($part),*])
            }
        }
    )* };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}
