//! Numbers.

use super::{Row, row};

const EXACT: u64 = 1 << 53;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("an integer becomes a wider one, as `u32` to `u64`, or `u64` to `u128`")
            .forth(7_u32, Some(7_u64))
            .forth(u64::MAX, Some(u128::from(u64::MAX)))
            .forth(Some(-7_i32), Some(Some(-7_i64)))
            .back(7_u64, Some(7_u32))
            .back(u64::MAX, None::<u32>)
            .back(u128::MAX, None::<u64>),
        row("an integer gets a sign, as `u64` to `i64`")
            .forth(7_u64, Some(7_i64))
            .forth(u64::MAX, None::<i64>)
            .back(7_i64, Some(7_u64))
            .back(-7_i64, None::<u64>),
        row("an integer of at most 32 bits becomes an `f64`")
            .forth(-7_i32, Some(-7.0_f64))
            .forth(u32::MAX, Some(f64::from(u32::MAX)))
            .back(7.0_f64, None::<i32>)
            .back(0.5_f64, None::<u32>),
        row("a wider integer becomes an `f64`")
            .forth(EXACT, Some(9_007_199_254_740_992_f64))
            .forth(vec![EXACT + 1], None::<Vec<f64>>)
            .forth(EXACT + 1, None::<f64>)
            .back(7.0_f64, None::<u64>),
        row("`f32` becomes `f64`")
            .forth(0.1_f32, Some(f64::from(0.1_f32)))
            .forth(f32::INFINITY, Some(f64::INFINITY))
            .back(0.1_f64, Some(0.1_f32))
            .back(f64::INFINITY, Some(f32::INFINITY))
            .back(1e300_f64, None::<f32>)
            .back(Some(1e300_f64), None::<Option<f32>>),
    ]
}
