//! What operators ask of a master as of any daemon.

use actix_web::HttpResponse;
use api::v1::master as v1;
use gateway::{Call, Encoding, Refused, plain, written};
use v1::Response;
use v1::call::Type as Asked;
use v1::response::{self, Type};

use crate::http::Gateways;

pub(super) async fn answer(
    _gateways: &Gateways,
    call: &Call,
    message: &v1::Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    let of_type = |r#type: Type| Response { r#type: Some(r#type.into()), ..Response::default() };
    let response = match message.r#type() {
        Asked::GetHealth => Response {
            get_health: Some(response::GetHealth { healthy: true }),
            ..of_type(Type::GetHealth)
        },
        _ => return Err(Refused::plainly(501)),
    };
    Ok(plain(call, encoding.media_type(), written(encoding, &response)))
}
