//! Says who we are, in the way that a registry asks for: a password with each request, or a token from a server that it names.

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::{Session, broken, host_of, may_be_plain, refusal};
use crate::challenge::{Challenge, read_token};
use crate::credentials::Login;
use crate::error::Failure;

/// Of a token server's answer.
const TOKEN_BYTES_MAX: usize = 1 << 20;

/// What is shown with each request. A token that has become too old is asked for anew when it is refused.
#[derive(Clone)]
pub(super) enum Authorisation {
    Password { user: String, password: String },
    Token(String),
}

impl Authorisation {
    pub(super) fn show(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Password { user, password } => request.basic_auth(user, Some(password)),
            Self::Token(token) => request.bearer_auth(token),
        }
    }
}

impl Session {
    /// After a 401: what to show instead.
    pub(super) async fn authorise(
        &self,
        host: &str,
        what: &str,
        response: &Response,
        shown: Option<&Authorisation>,
    ) -> Result<Authorisation, Failure> {
        let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let header: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        match Challenge::read(&header.join(", ")) {
            Some(Challenge::Basic) => match (self.login(host), shown) {
                (Some(Login::Password { user, password }), None) => {
                    Ok(Authorisation::Password { user: user.clone(), password: password.clone() })
                }
                (_, Some(_)) => Err(self.not_taken(host, what)),
                (_, None) => Err(Failure::Unauthorised { host: host.into(), what: what.into() }),
            },
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope =
                    scope.unwrap_or_else(|| format!("repository:{}:pull", self.image.repository));
                self.token(host, what, &realm, service.as_deref(), &scope).await
            }
            None => {
                let said: String = header.join(", ").chars().take(200).collect();
                let why = format!("it says {said:?}, which is neither Basic nor Bearer");
                Err(Failure::NoToken { host: host.into(), why })
            }
        }
    }

    /// What a 401 means when something, or nothing, was shown.
    pub(super) fn not_taken(&self, host: &str, what: &str) -> Failure {
        let (host, what) = (host.to_owned(), what.to_owned());
        match self.login(&host) {
            Some(_) => Failure::WrongCredentials { host, what },
            None => Failure::Unauthorised { host, what },
        }
    }

    /// This pull's own credentials for the host, or those of the settings.
    fn login(&self, host: &str) -> Option<&Login> {
        self.credentials.login(host).or_else(|| self.registries.settings.credentials.login(host))
    }

    async fn token(
        &self,
        host: &str,
        what: &str,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Authorisation, Failure> {
        let no_token = |why: String| Failure::NoToken { host: host.into(), why };
        let mut url = Url::parse(realm)
            .map_err(|error| no_token(format!("{realm:?} is no address: {error}")))?;
        let server = host_of(&url);
        match url.scheme() {
            "https" => (),
            "http" if may_be_plain(&self.registries.settings, &server) => (),
            _ => return Err(Failure::PlainHttp { host: server, what: "a token".into() }),
        }
        let client = &self.registries.client;
        let mut fields: Vec<_> = service.iter().map(|service| ("service", *service)).collect();
        fields.push(("scope", scope));
        let request = match self.login(host) {
            Some(Login::IdentityToken(token)) => {
                let more = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "airside"),
                    ("refresh_token", token),
                ];
                let mut form = Url::parse("x:/").map_err(|error| no_token(error.to_string()))?;
                form.query_pairs_mut().extend_pairs(fields.iter().chain(&more));
                let form = form.query().unwrap_or_default().to_owned();
                client
                    .post(url)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form)
            }
            Some(Login::Password { user, password }) => {
                url.query_pairs_mut().extend_pairs(fields).append_pair("account", user);
                client.get(url).basic_auth(user, Some(password))
            }
            None => {
                url.query_pairs_mut().extend_pairs(fields);
                client.get(url)
            }
        };
        let bytes = self.token_answer(host, what, &server, request).await?;
        let token = read_token(&bytes).ok_or_else(|| no_token(format!("{server} gives none")))?;
        Ok(Authorisation::Token(token))
    }

    async fn token_answer(
        &self,
        host: &str,
        what: &str,
        server: &str,
        request: RequestBuilder,
    ) -> Result<Vec<u8>, Failure> {
        let token = "a token";
        let registries = &self.registries;
        let response = registries.in_time(request.send(), server, token, 0).await?;
        let mut response = response.map_err(|error| broken(server, token, 0, error))?;
        match response.status() {
            StatusCode::OK => (),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(self.not_taken(host, what));
            }
            _ => return Err(refusal(server, token, &response)),
        }
        let mut bytes = Vec::new();
        loop {
            let at = bytes.len();
            let chunk = registries.in_time(response.chunk(), server, token, at as u64).await?;
            match chunk.map_err(|error| broken(server, token, at as u64, error))? {
                None => return Ok(bytes),
                Some(chunk) if at + chunk.len() > TOKEN_BYTES_MAX => {
                    let (what, found) = (token.into(), (at + chunk.len()) as u64);
                    return Err(Failure::TooLarge { what, found, most: TOKEN_BYTES_MAX as u64 });
                }
                Some(chunk) => bytes.extend_from_slice(&chunk),
            }
        }
    }
}
